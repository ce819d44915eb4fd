//! What is said about the traces of requests.

use super::SettingsError;
use super::layers::Layers;
use super::value::{Share, Words};
use crate::fetch::Url;

/// Where traces go, and which.
#[derive(Clone, Debug)]
pub struct Otlp {
    /// The endpoint of the collector.
    pub endpoint: Url,
    /// The share of the traces that begin here, from 0 to 1.
    pub share: f64,
    /// The service's name there.
    pub service: String,
}

impl Otlp {
    /// None where they go nowhere.
    pub(super) fn read(layers: &Layers) -> Result<Option<Self>, SettingsError> {
        let Share(share) = layers.get("otlp.share")?;
        let service = layers.get::<Words>("otlp.service")?.0;
        let Some(endpoint) = layers.get::<Option<Url>>("otlp.endpoint")? else { return Ok(None) };
        if cfg!(not(feature = "otlp")) {
            return Err(layers.refusal("otlp.endpoint", "this program was built without the feature otlp"));
        }
        let is_plain = endpoint.username().is_empty() && endpoint.password().is_none();
        if !is_plain || !matches!(endpoint.scheme(), "http" | "https") {
            let why =
                "http://host:port is meant; what a collector demands is said by OTEL_EXPORTER_OTLP_HEADERS";
            return Err(layers.refusal("otlp.endpoint", why));
        }
        let service = service.unwrap_or_else(|| env!("CARGO_PKG_NAME").to_owned());
        Ok(Some(Self { endpoint, share, service }))
    }
}
