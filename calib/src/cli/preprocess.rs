//! How pictures are prepared for a model: flags that several commands share.

use clap::Args;

/// Properties that replace the model's.
#[derive(Clone, Debug, Default, Args)]
pub struct PreprocessArgs {
    /// Mean that is subtracted from each pixel value: one number or R,G,B [default: the model's, else 0].
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    pub mean: Option<String>,
    /// Factor that each pixel value is then multiplied with [default: the model's, else 1/255].
    #[arg(long, value_name = "LIST", allow_hyphen_values = true)]
    pub norm: Option<String>,
    /// Order of the colour channels: rgb or bgr [default: the model's, else rgb].
    #[arg(long, value_name = "ORDER")]
    pub pixel: Option<String>,
    /// Fit of the picture to the input: letterbox or stretch [default: the model's, else letterbox].
    #[arg(long, value_name = "FIT")]
    pub fit: Option<String>,
    /// Resize of the picture: antialias or linear [default: the model's, else antialias].
    #[arg(long, value_name = "METHOD")]
    pub interpolation: Option<String>,
}

impl PreprocessArgs {
    /// The properties that are given, as [`Preprocess::set`](ocellus::image::Preprocess::set) takes them.
    pub fn entries(&self) -> Vec<(String, String)> {
        let named = [
            ("mean", &self.mean),
            ("norm", &self.norm),
            ("pixel", &self.pixel),
            ("fit", &self.fit),
            ("interpolation", &self.interpolation),
        ];
        let given = |(name, value): (&str, &Option<String>)| Some((name.to_owned(), value.clone()?));
        named.into_iter().filter_map(given).collect()
    }
}
