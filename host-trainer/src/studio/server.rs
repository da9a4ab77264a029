//! The pages' server: for this machine only, and for who knows its address.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use model_training::system::hexadecimal::hexadecimal;
use model_training::system::{html, read};
use rand::TryRng;
use rand::rngs::SysRng;
use serde_json::json;

use super::gate::Gate;
use super::http::{Connection, Refusal};
use super::{Shared, Studio, lock};
use crate::collect::{Picture, pictures};

/// Most requests that are answered at once: several pages with their pictures.
const AT_ONCE: usize = 64;
/// So long a view is waited for before the page asks again.
const POLL: Duration = Duration::from_secs(20);
/// Most bytes of a picture that is shown.
const PICTURE: u64 = 64 << 20;
/// Nothing is loaded from elsewhere, nothing is sent elsewhere, and no script stands in the page itself.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const PAGE: &str = include_str!("page/index.html");
/// What the page looks like besides what all of this program's pages do.
const STYLE: &str = include_str!("page/style.css");
/// What a person does at the page, file by file.
const SCRIPTS: [(&str, &str); 4] = [
    ("page.js", include_str!("page/page.js")),
    ("label.js", include_str!("page/label.js")),
    ("gallery.js", include_str!("page/gallery.js")),
    ("teach.js", include_str!("page/teach.js")),
];
/// Headers of every answer.
const HEADERS: [(&str, &str); 6] = [
    ("content-security-policy", POLICY),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
    ("cross-origin-resource-policy", "same-origin"),
];
const JSON: &str = "application/json";

/// A port of this machine, on which nobody is served yet.
pub struct Server {
    listener: TcpListener,
    gate: Gate,
}

/// What is sent back.
struct Answer {
    status: u16,
    kind: &'static str,
    body: Vec<u8>,
}

impl Server {
    /// Takes a free port, and makes up a token.
    ///
    /// # Errors
    /// When there is no free port, or the system gives no random numbers.
    pub fn bind() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot open a port of this machine")?;
        let mut token = [0; 16];
        SysRng.try_fill_bytes(&mut token).context("the system gives no random numbers")?;
        let host = listener.local_addr()?.to_string();
        Ok(Self { listener, gate: Gate { host, token: hexadecimal(&token) } })
    }

    /// What a browser is given.
    #[must_use]
    pub fn address(&self) -> String {
        format!("http://{}/{}/", self.gate.host, self.gate.token)
    }

    /// Serves pages of a studio until the process ends.
    ///
    /// # Errors
    /// When the system takes the port away.
    pub fn run(self, studio: &Studio) -> Result<()> {
        let gate = Arc::new(self.gate);
        let busy = Arc::new(());
        loop {
            let (stream, _) = self.listener.accept().context("the studio's port is gone")?;
            if Arc::strong_count(&busy) > AT_ONCE {
                continue;
            }
            let (shared, gate, busy) = (Arc::clone(&studio.shared), Arc::clone(&gate), Arc::clone(&busy));
            let serving = std::thread::Builder::new().spawn(move || {
                if let Err(error) = serve(&shared, &gate, stream) {
                    tracing::debug!("a page has gone before it was answered: {error}");
                }
                drop(busy);
            });
            serving.context("a thread cannot be started")?;
        }
    }
}

/// Answers one request.
fn serve(shared: &Arc<Shared>, gate: &Gate, stream: TcpStream) -> std::io::Result<()> {
    let mut connection = Connection::new(stream)?;
    let Answer { status, kind, body } = asked(shared, gate, &mut connection).unwrap_or_else(|(status, why)| {
        let body = json!({ "error": why }).to_string().into_bytes();
        Answer { status, kind: JSON, body }
    });
    let headers: Vec<(&str, &str)> = [("content-type", kind)].into_iter().chain(HEADERS).collect();
    connection.answer(status, &headers, &body)
}

fn asked(shared: &Arc<Shared>, gate: &Gate, connection: &mut Connection) -> Result<Answer, Refusal> {
    let head = connection.head()?;
    gate.admit(&head)?;
    let body = connection.body(&head)?;
    let parts = head.parts().ok_or((400, "the address is no text"))?;
    let parts: Vec<&str> = parts[1..].iter().map(String::as_str).collect();
    if head.method == "POST" {
        return if parts == ["do"] { Ok(Answer::of(JSON, act(shared, &body))) } else { Err(NOTHING) };
    }
    get(shared, &parts)
}

const NOTHING: Refusal = (404, "there is nothing of this name");

fn get(shared: &Shared, parts: &[&str]) -> Result<Answer, Refusal> {
    let text = |kind, text: &str| Ok(Answer { status: 200, kind, body: text.as_bytes().to_vec() });
    match parts {
        [""] => text("text/html; charset=utf-8", PAGE),
        ["style.css"] => text("text/css; charset=utf-8", &[html::STYLE, STYLE].concat()),
        ["view", board, version, shown] => {
            let number =
                |text: &str| text.parse::<u64>().map_err(|_| (400, "the address has no number where one is due"));
            let (board, version, shown) = (number(board)?, number(version)?, number(shown)?);
            shared.changes.wait(version, POLL);
            Ok(Answer::of(JSON, shared.view(board as usize, shown).map(String::into_bytes)))
        }
        ["pictures", class] => Ok(Answer::of(JSON, names(shared, class))),
        ["picture", class, name] => Ok(Answer::of(kind_of(name), picture(shared, class, name))),
        [name] => {
            let script = SCRIPTS.into_iter().find(|(other, _)| other == name).ok_or(NOTHING)?;
            text("text/javascript; charset=utf-8", script.1)
        }
        _ => Err(NOTHING),
    }
}

impl Answer {
    /// What was made, or why it could not be.
    fn of(kind: &'static str, made: Result<Vec<u8>>) -> Self {
        match made {
            Ok(body) => Self { status: 200, kind, body },
            Err(error) => {
                let body = json!({ "error": format!("{error:#}") }).to_string().into_bytes();
                Self { status: 422, kind: JSON, body }
            }
        }
    }
}

/// The names of the pictures of a class.
fn names(shared: &Shared, class: &str) -> Result<Vec<u8>> {
    let pictures = pictures(lock(&shared.shelf).collection.folder(), class)?;
    let names: Vec<String> = pictures.into_iter().map(|picture| picture.name).collect();
    Ok(serde_json::to_vec(&names)?)
}

fn picture(shared: &Shared, class: &str, name: &str) -> Result<Vec<u8>> {
    let picture = Picture { class: class.to_owned(), name: name.to_owned() };
    let file = lock(&shared.shelf).collection.file(&picture)?;
    read::bytes(&file, PICTURE).with_context(|| format!("cannot read {}", file.display()))
}

fn kind_of(name: &str) -> &'static str {
    if name.to_lowercase().ends_with(".png") { "image/png" } else { "image/jpeg" }
}

fn act(shared: &Arc<Shared>, body: &[u8]) -> Result<Vec<u8>> {
    let action = serde_json::from_slice(body).context("this is nothing that a page asks for")?;
    Ok(serde_json::to_vec(&shared.act(action)?)?)
}

#[cfg(test)]
mod tests;
