//! Servers with a configuration file, or with options alone.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::{Cipher, Group, Setting, Started, Unstarted, on_a_free_port};

/// As OpenSSL calls it, which nginx and HAProxy are built on.
pub(super) const fn openssl_name(group: Group) -> &'static str {
    match group {
        Group::X25519 => "X25519",
        Group::P256 => "P-256",
        Group::P384 => "P-384",
    }
}

/// Groups of OpenSSL's that no node has, and one that both clients have.
pub(super) const OTHER_GROUPS: &str = "X448:P-521:P-256";

pub(super) fn nginx(folder: &Path, setting: Setting) -> Started {
    let mut versions = "TLSv1.3";
    let mut answer = "if ($ssl_session_reused = r) { return 202; } return 200 ok;";
    let option = match setting {
        Setting::Usual => String::new(),
        Setting::Only(group) => format!("ssl_ecdh_curve {};", openssl_name(group)),
        Setting::With(cipher) => format!("ssl_conf_command Ciphersuites {};", cipher.name()),
        Setting::OtherGroups => format!("ssl_ecdh_curve {OTHER_GROUPS};"),
        Setting::AsksForCertificate => "ssl_verify_client optional_no_ca;".into(),
        Setting::WantsCertificate => "ssl_verify_client on; ssl_client_certificate clients;".into(),
        Setting::LongAnswer => {
            answer = "error_page 404 =200 /long;";
            "ssl_buffer_size 4k;".into()
        }
        Setting::Tls12 => {
            versions = "TLSv1.2";
            String::new()
        }
        Setting::ShortRecords | Setting::KeyUpdate => return Err(Unstarted::Unable),
    };
    on_a_free_port(folder, |port| {
        let config = format!(
            "daemon off; master_process off; pid pid; error_log stderr; events {{}} http {{ \
             access_log off; client_body_temp_path t; proxy_temp_path t; fastcgi_temp_path t; \
             uwsgi_temp_path t; scgi_temp_path t; server {{ listen 127.0.0.1:{port} ssl; \
             ssl_protocols {versions}; ssl_certificate chain; ssl_certificate_key key; {option} \
             root .; location / {{ {answer} }} }} }}"
        );
        let _ = fs::write(folder.join("conf"), config);
        let mut command = Command::new("nginx");
        command.arg("-p").arg(folder).args(["-c", "conf", "-e", "stderr"]);
        command
    })
}

pub(super) fn haproxy(folder: &Path, setting: Setting) -> Started {
    let mut answer = "string ok";
    let option = match setting {
        Setting::Usual => String::new(),
        Setting::Only(group) => format!("curves {}", openssl_name(group)),
        Setting::With(cipher) => format!("ciphersuites {}", cipher.name()),
        Setting::OtherGroups => format!("curves {OTHER_GROUPS}"),
        Setting::AsksForCertificate => "ca-file clients verify optional".into(),
        Setting::WantsCertificate => "ca-file clients verify required".into(),
        Setting::LongAnswer => {
            answer = "file long";
            String::new()
        }
        Setting::Tls12 => "ssl-max-ver TLSv1.2".into(),
        Setting::ShortRecords | Setting::KeyUpdate => return Err(Unstarted::Unable),
    };
    on_a_free_port(folder, |port| {
        let config = format!(
            "defaults\n mode http\n timeout client 20s\n timeout server 20s\n timeout connect 20s\n\
             frontend tests\n bind 127.0.0.1:{port} ssl crt both {option}\n \
             http-request return status 202 if {{ ssl_fc_is_resumed }}\n \
             http-request return status 200 content-type text/plain {answer}\n"
        );
        let _ = fs::write(folder.join("conf"), config);
        let mut command = Command::new("haproxy");
        command.args(["-q", "-db", "-f", "conf"]);
        command
    })
}

pub(super) fn gnutls(folder: &Path, setting: Setting) -> Started {
    let mut priority = "NORMAL".to_owned();
    let mut options = Vec::new();
    match setting {
        Setting::Usual => {}
        Setting::Only(group) => priority += &format!(":-GROUP-ALL:+{}", gnutls_group(group)),
        Setting::With(cipher) => priority += &format!(":-CIPHER-ALL:+{}", gnutls_cipher(cipher)),
        Setting::OtherGroups => {
            priority += ":-GROUP-ALL:+GROUP-X448:+GROUP-SECP521R1:+GROUP-SECP256R1";
        }
        Setting::WantsCertificate => {
            options.extend(["--require-client-cert", "--verify-client-cert"]);
            options.push("--x509cafile=clients");
        }
        Setting::Tls12 => priority += ":-VERS-ALL:+VERS-TLS1.2",
        // It asks unless it is told not to.
        Setting::AsksForCertificate => {}
        Setting::ShortRecords | Setting::KeyUpdate | Setting::LongAnswer => {
            return Err(Unstarted::Unable);
        }
    }
    if !matches!(setting, Setting::AsksForCertificate | Setting::WantsCertificate) {
        options.push("--disable-client-cert");
    }
    on_a_free_port(folder, |port| {
        let mut command = Command::new("gnutls-serv");
        command.args(["--http", "--x509certfile=chain", "--x509keyfile=key"]);
        command.args(options).arg(format!("--port={port}")).arg(format!("--priority={priority}"));
        command
    })
}

const fn gnutls_group(group: Group) -> &'static str {
    match group {
        Group::X25519 => "GROUP-X25519",
        Group::P256 => "GROUP-SECP256R1",
        Group::P384 => "GROUP-SECP384R1",
    }
}

const fn gnutls_cipher(cipher: Cipher) -> &'static str {
    match cipher {
        Cipher::Aes128 => "AES-128-GCM",
        Cipher::Aes256 => "AES-256-GCM",
        Cipher::ChaCha20 => "CHACHA20-POLY1305",
    }
}
