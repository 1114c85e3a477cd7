//! An operator of NATS with one account, and users of it: the keys and JWTs that `nsc` would make.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64ct::{Base64UrlUnpadded, Encoding as _};
use nkeys::KeyPair;
use serde_json::{Value, json};

/// Signs an account, whose users a server lets in by their JWTs.
pub struct NatsOperator {
    operator: KeyPair,
    account: KeyPair,
    system: KeyPair,
}

/// A user of the operator's account.
pub struct NatsUser {
    key: KeyPair,
    jwt: String,
}

impl NatsOperator {
    /// With new keys.
    #[must_use]
    pub fn new() -> Self {
        Self {
            operator: KeyPair::new_operator(),
            account: KeyPair::new_account(),
            system: KeyPair::new_account(),
        }
    }

    /// What goes into a server's configuration. The users in `revoked` are let in no more.
    #[must_use]
    pub fn config(&self, revoked: &[&NatsUser]) -> String {
        let name = KeyPair::public_key;
        let revoked = revoked.iter().map(|user| (name(&user.key), json!(now() + 1)));
        let operator = jwt(
            &self.operator,
            &self.operator,
            json!({ "type": "operator", "system_account": name(&self.system) }),
        );
        let account = |account, revoked: Value| {
            let limits = [
                "subs",
                "data",
                "payload",
                "imports",
                "exports",
                "conn",
                "leaf",
                "mem_storage",
                "disk_storage",
                "streams",
                "consumer",
            ];
            let mut limits: Value =
                limits.map(|name| (name.to_owned(), json!(-1))).into_iter().collect();
            limits["wildcards"] = json!(true);
            let claims = json!({ "type": "account", "limits": limits, "revocations": revoked });
            format!("{}: \"{}\"", name(account), jwt(&self.operator, account, claims))
        };
        // The system's own account has no streams.
        let system = jwt(
            &self.operator,
            &self.system,
            json!({ "type": "account", "limits": {
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "conn": -1, "leaf": -1,
            "wildcards": true,
        } }),
        );
        format!(
            "operator: \"{operator}\"\nsystem_account: {}\nresolver: MEMORY\nresolver_preload: {{\n{}\n{}: \"{system}\"\n}}\n",
            name(&self.system),
            account(&self.account, revoked.collect()),
            name(&self.system),
        )
    }

    /// A new user, for as long as this.
    #[must_use]
    pub fn user(&self, lifetime: Duration) -> NatsUser {
        self.user_until(now() + lifetime.as_secs())
    }

    /// A new user whose time is over.
    #[must_use]
    pub fn expired_user(&self) -> NatsUser {
        self.user_until(now() - 60)
    }

    fn user_until(&self, expires: u64) -> NatsUser {
        let key = KeyPair::new_user();
        let claims =
            json!({ "type": "user", "pub": {}, "sub": {}, "subs": -1, "data": -1, "payload": -1 });
        let jwt = jwt_until(&self.account, &key, claims, Some(expires));
        NatsUser { key, jwt }
    }
}

impl Default for NatsOperator {
    fn default() -> Self {
        Self::new()
    }
}

impl NatsUser {
    /// The `.creds` file.
    #[must_use]
    pub fn credentials(&self) -> String {
        self.credentials_with_key(self)
    }

    /// The same with the key of another user.
    ///
    /// # Panics
    /// Never: the key has a seed.
    #[must_use]
    pub fn credentials_with_key(&self, other: &Self) -> String {
        let (jwt, seed) = (&self.jwt, other.key.seed().unwrap());
        format!(
            "-----BEGIN NATS USER JWT-----\n{jwt}\n------END NATS USER JWT------\n\n\
             ************************* IMPORTANT *************************\n\
             NKEY Seed printed below can be used to sign and prove identity.\n\n\
             -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
        )
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn jwt(issuer: &KeyPair, subject: &KeyPair, claims: Value) -> String {
    jwt_until(issuer, subject, claims, None)
}

fn jwt_until(
    issuer: &KeyPair,
    subject: &KeyPair,
    mut claims: Value,
    expires: Option<u64>,
) -> String {
    claims["version"] = json!(2);
    let mut all = json!({
        "jti": subject.public_key(),
        "iat": now(),
        "iss": issuer.public_key(),
        "name": "test",
        "sub": subject.public_key(),
        "nats": claims,
    });
    if let Some(expires) = expires {
        all["exp"] = json!(expires);
    }
    let encode = |bytes: &[u8]| Base64UrlUnpadded::encode_string(bytes);
    let head = encode(br#"{"typ":"JWT","alg":"ed25519-nkey"}"#);
    let text = format!("{head}.{}", encode(all.to_string().as_bytes()));
    format!("{text}.{}", encode(&issuer.sign(text.as_bytes()).unwrap()))
}
