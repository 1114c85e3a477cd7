//! The options about who an event is from.

use std::sync::Arc;

use pilot_webhook_core::standard::SigningKey;
use pilot_webhook_core::{Secret, Signer};

use super::ClientBuilder;

impl<V> ClientBuilder<V> {
    /// Signs each attempt with this secret, as pilot's Go plugin does: `X-Pilot-Signature-256`. An empty secret is an
    /// error of the build, so that an unset variable does not turn signing off.
    pub fn secret(mut self, secret: &[u8]) -> Self {
        self.options.secret = Some(Secret::new(secret));
        self
    }

    /// Signs each attempt with this key, as Standard Webhooks says: `webhook-signature`. Up to three keys sign at a
    /// time; a fourth is an error of the build. The [`secret`](Self::secret) signs, too, if there is one.
    ///
    /// ```
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use pilot_webhook_std::Client;
    /// use pilot_webhook_std::standard::SigningKey;
    /// let key = SigningKey::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")?;
    /// let client = Client::builder("https://example.org/hook").signing_key(key).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn signing_key(mut self, key: SigningKey) -> Self {
        self.options.keys.push(key);
        self
    }

    /// Another signer of each attempt, in addition to the [`secret`](Self::secret) and the
    /// [keys](Self::signing_key). Default: `()`, none.
    pub fn signer(mut self, signer: impl Signer + Send + 'static) -> Self {
        self.options.signer = Arc::new(signer);
        self
    }
}
