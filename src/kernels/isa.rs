//! Instruction sets: which ones there are, and which ones this CPU has.

#[cfg(target_arch = "x86_64")]
mod amx;

use crate::error::{Error, Result};
#[cfg(target_arch = "aarch64")]
use std::arch::is_aarch64_feature_detected;
use std::fmt;
use std::str::FromStr;

/// Environment variable that names the instruction set where no option does.
pub const ISA_VARIABLE: &str = "OCELLUS_ISA";

/// An instruction set that kernels are written for, from the plainest to the most capable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Isa {
    /// Portable Rust; runs everywhere.
    Scalar,
    /// x86-64 with AVX2.
    Avx2,
    /// x86-64 with AVX2 and the 256-bit int8 dot product of AVX-VNNI.
    AvxVnni,
    /// x86-64 with AVX-512 (F, BW, VL) and its int8 dot product VNNI.
    Avx512Vnni,
    /// x86-64 with the same and AMX, which multiplies whole matrices.
    Amx,
    /// ARM with NEON, which is part of the 64-bit architecture.
    Neon,
    /// 64-bit ARM with the int8 dot product of ARMv8.2.
    Dotprod,
    /// 64-bit ARM with the int8 matrix product of ARMv8.6.
    I8mm,
}

/// A name or request that cannot be met.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IsaError {
    /// Not the name of an instruction set.
    #[error(
        "unknown instruction set {0:?}; known are scalar, avx2, avxvnni, avx512vnni, amx, neon, dotprod, i8mm"
    )]
    Unknown(String),
    /// The CPU lacks it.
    #[error("this CPU lacks {wanted}; it has {}", list(.has))]
    Lacking {
        /// What was asked for.
        wanted: Isa,
        /// What there is.
        has: Vec<Isa>,
    },
}

fn list(isas: &[Isa]) -> String {
    isas.iter().map(Isa::to_string).collect::<Vec<_>>().join(", ")
}

/// What the kernel says of a 32-bit CPU. The standard library's own question is not stable.
#[cfg(target_arch = "arm")]
fn has_neon() -> bool {
    use std::ffi::c_ulong;
    unsafe extern "C" {
        safe fn getauxval(kind: c_ulong) -> c_ulong;
    }
    const AT_HWCAP: c_ulong = 16;
    const HWCAP_NEON: c_ulong = 1 << 12;
    getauxval(AT_HWCAP) & HWCAP_NEON != 0
}

impl Isa {
    /// All instruction sets, of every architecture.
    pub const ALL: [Isa; 8] =
        [Isa::Scalar, Isa::Avx2, Isa::AvxVnni, Isa::Avx512Vnni, Isa::Amx, Isa::Neon, Isa::Dotprod, Isa::I8mm];

    /// Whether this CPU has it.
    pub fn is_available(self) -> bool {
        match self {
            Isa::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => is_x86_feature_detected!("avx2"),
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("avxvnni"),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vnni")
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Amx => Isa::Avx512Vnni.is_available() && amx::is_permitted(),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => is_aarch64_feature_detected!("neon"),
            #[cfg(target_arch = "arm")]
            Isa::Neon => has_neon(),
            #[cfg(target_arch = "aarch64")]
            Isa::Dotprod => is_aarch64_feature_detected!("neon") && is_aarch64_feature_detected!("dotprod"),
            #[cfg(target_arch = "aarch64")]
            Isa::I8mm => Isa::Dotprod.is_available() && is_aarch64_feature_detected!("i8mm"),
            _ => false,
        }
    }

    /// What this CPU has, plainest first; never empty.
    pub fn available() -> Vec<Isa> {
        Isa::ALL.into_iter().filter(|isa| isa.is_available()).collect()
    }

    /// The most capable one of this CPU.
    pub fn detect() -> Isa {
        Isa::ALL.into_iter().rev().find(|isa| isa.is_available()).unwrap_or(Isa::Scalar)
    }

    /// The instruction set of a request: a request may lower what is used, never raise it.
    ///
    /// # Errors
    /// The CPU lacks `requested`.
    pub fn lower_to(requested: Isa) -> std::result::Result<Isa, IsaError> {
        match requested.is_available() {
            true => Ok(requested),
            false => Err(IsaError::Lacking { wanted: requested, has: Isa::available() }),
        }
    }

    /// The instruction set that a command line asks for: with its option, else with [`ISA_VARIABLE`], else the
    /// most capable one of this CPU, which is also what `auto` stands for.
    ///
    /// # Errors
    /// The name is unknown, or this CPU lacks it; the error says where the name stands.
    pub fn of_request(option: Option<&str>) -> Result<Isa> {
        let variable = std::env::var_os(ISA_VARIABLE).map(|name| name.to_string_lossy().into_owned());
        let (place, name) = match (option, &variable) {
            (Some(name), _) => ("--isa", name),
            (None, Some(name)) => (ISA_VARIABLE, name.as_str()),
            (None, None) => return Ok(Isa::detect()),
        };
        if name == "auto" {
            return Ok(Isa::detect());
        }
        name.parse().and_then(Isa::lower_to).map_err(|e| Error::Usage(format!("{place}: {e}")))
    }

    fn name(self) -> &'static str {
        match self {
            Isa::Scalar => "scalar",
            Isa::Avx2 => "avx2",
            Isa::AvxVnni => "avxvnni",
            Isa::Avx512Vnni => "avx512vnni",
            Isa::Amx => "amx",
            Isa::Neon => "neon",
            Isa::Dotprod => "dotprod",
            Isa::I8mm => "i8mm",
        }
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Isa {
    type Err = IsaError;

    fn from_str(name: &str) -> std::result::Result<Self, IsaError> {
        let known = Isa::ALL.into_iter().find(|isa| isa.name() == name);
        known.ok_or_else(|| IsaError::Unknown(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back() {
        for isa in Isa::ALL {
            assert_eq!(isa.to_string().parse(), Ok(isa));
        }
        let unknown = "sse9".parse::<Isa>().unwrap_err().to_string();
        assert!(Isa::ALL.iter().all(|isa| unknown.contains(isa.name())), "{unknown}");
    }

    #[test]
    fn a_request_is_met_or_refused_never_replaced() {
        assert_eq!(Isa::available().first(), Some(&Isa::Scalar));
        assert_eq!(Isa::available().last(), Some(&Isa::detect()));
        for isa in Isa::ALL {
            match Isa::lower_to(isa) {
                Ok(got) => assert_eq!(got, isa),
                Err(e) => assert!(!isa.is_available() && e.to_string().contains("this CPU lacks"), "{e}"),
            }
        }
    }
}
