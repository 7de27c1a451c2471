//! A server that is named by its address, and the token that it is shown.

use std::{path::Path, sync::Arc};

use anyhow::Context as _;
use ureq::{
    config::ConfigBuilder,
    tls::{RootCerts, TlsConfig},
    typestate::AgentScope,
};

use crate::exit::{Code, fail};

/// Longest token file in bytes.
const TOKEN_SIZE_MAX: usize = 4_096;

/// Where to connect, and as whom. Not `Debug`, since it holds a token.
pub struct Elsewhere {
    url: String,
    token: Option<String>,
}

impl Elsewhere {
    /// The server at an address, with the token in a file.
    ///
    /// # Errors
    /// When the file cannot be read or holds no token, or the address is none.
    pub fn at(url: &str, token_file: Option<&Path>) -> anyhow::Result<Elsewhere> {
        if !(url.starts_with("http://") || url.starts_with("https://")) {
            return Err(fail(Code::Usage, "--url wants http://HOST:PORT or https://HOST"));
        }
        let token = token_file.map(read).transpose()?;
        Ok(Elsewhere::of(url, token))
    }

    /// A server that is known.
    pub fn of(url: &str, token: Option<String>) -> Elsewhere {
        Elsewhere { url: url.trim_end_matches('/').to_owned(), token }
    }

    /// The address without a slash at its end.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The header `Authorization`, if there is a token.
    pub fn bearer(&self) -> Option<String> {
        self.token.as_ref().map(|token| format!("Bearer {token}"))
    }
}

/// Settings of connections to such a server: certificates are checked against the machine's
/// authorities, and what is answered is for the caller to judge.
pub fn connections() -> ConfigBuilder<AgentScope> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::PlatformVerifier)
        .unversioned_rustls_crypto_provider(provider);
    ureq::Agent::config_builder()
        .tls_config(tls.build())
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
}

/// The token in a file, without the end of its line.
fn read(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path).context("--token-file cannot be read")?;
    let token = text.trim();
    let printable = token.bytes().all(|b| b.is_ascii_graphic());
    if token.is_empty() || token.len() > TOKEN_SIZE_MAX || !printable {
        return Err(fail(Code::Usage, "--token-file holds no token"));
    }
    Ok(token.to_owned())
}
