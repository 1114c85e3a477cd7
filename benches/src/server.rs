//! An nginx of our own that answers 204 to everything, over HTTP and HTTPS.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use pilot_webhook_benches::Result;

/// How long nginx may take to listen.
const PATIENCE: Duration = Duration::from_secs(10);

/// A running nginx. Dropping it ends it.
pub(crate) struct Nginx {
    child: Child,
    directory: TempDir,
    http: u16,
    https: u16,
    status: u16,
}

impl Nginx {
    pub(crate) fn start() -> Result<Self> {
        let directory = TempDir::new()?;
        let certificate = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()])?;
        fs::write(directory.path().join("cert.pem"), certificate.cert.pem())?;
        fs::write(directory.path().join("key.pem"), certificate.signing_key.serialize_pem())?;
        let (http, https, status) = (free_port()?, free_port()?, free_port()?);
        fs::write(directory.path().join("nginx.conf"), config(http, https, status))?;
        let child = command()
            .arg("-p")
            .arg(directory.path())
            .args(["-c", "nginx.conf", "-e", "error.log"])
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("nginx cannot be started: {error}; apt-get install nginx"))?;
        let mut nginx = Self { child, directory, http, https, status };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", https)).is_err() {
            if start.elapsed() > PATIENCE || nginx.child.try_wait()?.is_some() {
                let log = fs::read_to_string(nginx.directory.path().join("error.log"));
                return Err(format!("nginx does not listen: {}", log.unwrap_or_default()).into());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(nginx)
    }

    /// Where events go, over TLS or not.
    pub(crate) fn url(&self, tls: bool) -> String {
        if tls {
            format!("https://127.0.0.1:{}/hook", self.https)
        } else {
            format!("http://127.0.0.1:{}/hook", self.http)
        }
    }

    /// How many requests it has had so far, this one included.
    pub(crate) fn requests(&self) -> Result<u64> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.status))?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
        let mut text = String::new();
        stream.read_to_string(&mut text)?;
        let counts = text.lines().skip_while(|line| !line.starts_with("server accepts")).nth(1);
        let requests = counts.and_then(|line| line.split_whitespace().nth(2));
        Ok(requests.ok_or_else(|| format!("nginx's status: {text}"))?.parse()?)
    }

    /// The certificate that clients are to trust.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.directory.path().join("cert.pem")
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The master ends its worker when it is asked to, not when it is killed.
        let asked = Command::new("kill").arg(self.child.id().to_string()).status();
        if !asked.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

/// Debian keeps it where only root looks.
fn command() -> Command {
    let sbin = PathBuf::from("/usr/sbin/nginx");
    if sbin.exists() { Command::new(sbin) } else { Command::new("nginx") }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

/// One worker, so that the receiver is one core's work whatever the machine.
fn config(http: u16, https: u16, status: u16) -> String {
    format!(
        "daemon off;
worker_processes 1;
pid nginx.pid;
error_log error.log warn;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 3600s;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen 127.0.0.1:{http};
        return 204;
    }}
    server {{
        listen 127.0.0.1:{https} ssl;
        ssl_certificate cert.pem;
        ssl_certificate_key key.pem;
        return 204;
    }}
    server {{
        listen 127.0.0.1:{status};
        location / {{ stub_status; }}
    }}
}}
"
    )
}
