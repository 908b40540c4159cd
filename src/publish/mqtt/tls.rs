//! Whom a broker's certificate must come from.

use crate::error::{Error, Result};
use rustls::crypto::ring;
use rustls::{ClientConfig, RootCertStore};
use std::sync::Arc;

/// Trust in the authorities that the system trusts, or those in the file that `SSL_CERT_FILE` names.
///
/// # Errors
/// [`Error::Usage`]: there are none. One that cannot be read or used is no reason to trust none of the others.
pub(super) fn trust() -> Result<Arc<ClientConfig>> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(found.certs);
    if roots.is_empty() {
        let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        return Err(Error::Usage(format!(
            "mqtts:// trusts the authorities that the system trusts, and there are none{why}: install ca-certificates, or \
             name a file with them in SSL_CERT_FILE"
        )));
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions();
    let builder = builder.map_err(|e| Error::Usage(format!("mqtts://: {e}")))?;
    Ok(Arc::new(builder.with_root_certificates(roots).with_no_client_auth()))
}
