//! HTTP/1.1 as far as the studio's page needs it: one request a connection, whose body has a length that is said before.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

/// Longest head of a request, in bytes.
const HEAD: usize = 16 << 10;
/// Most headers.
const HEADERS: usize = 64;
/// Longest body, in bytes.
pub(super) const BODY: usize = 256 << 10;
/// So long a request may take to come, and an answer to go.
const PATIENCE: Duration = Duration::from_secs(10);
/// What is read at once.
const CHUNK: usize = 8 << 10;

/// What is asked, but its body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Head {
    pub method: String,
    /// As it was sent, with what is escaped in it.
    pub path: String,
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Head {
    /// All values of a header, whose name is given in small letters.
    pub(super) fn all(&self, name: &str) -> Vec<&[u8]> {
        let named = self.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_slice()).collect()
    }

    /// The parts of the path between its slashes; none where one is no text.
    pub(super) fn parts(&self) -> Option<Vec<String>> {
        self.path.strip_prefix('/')?.split('/').map(unescaped).collect()
    }

    /// How many bytes follow.
    fn body_len(&self) -> Result<usize, Refusal> {
        if !self.all("transfer-encoding").is_empty() {
            return Err((411, "say how long the body is"));
        }
        let len = match &self.all("content-length")[..] {
            [] => return Ok(0),
            [len] if !len.is_empty() && len.iter().all(u8::is_ascii_digit) => str::from_utf8(len).ok(),
            _ => None,
        };
        // A number with more digits than fit is too large as well.
        let len = len.ok_or((400, "the length of the body is no number"))?.parse().unwrap_or(usize::MAX);
        if len > BODY { Err((413, "that is too much at once")) } else { Ok(len) }
    }
}

/// A path's part in which `%` and two digits stand for a byte.
fn unescaped(part: &str) -> Option<String> {
    let (mut bytes, mut rest) = (Vec::new(), part.as_bytes());
    while let Some((&byte, after)) = rest.split_first() {
        if byte != b'%' {
            bytes.push(byte);
            rest = after;
            continue;
        }
        let digits = str::from_utf8(after.get(..2)?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok().filter(|_| digits.bytes().all(|digit| digit != b'+'))?);
        rest = &after[2..];
    }
    String::from_utf8(bytes).ok()
}

/// A status, and why a request is refused.
pub(super) type Refusal = (u16, &'static str);

/// A connection from which a request is read and that is answered once.
pub(super) struct Connection {
    stream: TcpStream,
    /// When the request must be here.
    until: Instant,
    /// What has come behind the head.
    rest: Vec<u8>,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Self { stream, until: Instant::now() + PATIENCE, rest: Vec::new() })
    }

    /// More bytes; an error where none come in time.
    fn more(&mut self) -> io::Result<()> {
        let left = self.until.saturating_duration_since(Instant::now());
        self.stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        let mut chunk = [0; CHUNK];
        let len = self.stream.read(&mut chunk)?;
        if len == 0 || left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        self.rest.extend_from_slice(&chunk[..len]);
        Ok(())
    }

    /// The head of the request.
    pub(super) fn head(&mut self) -> Result<Head, Refusal> {
        loop {
            let mut headers = [httparse::EMPTY_HEADER; HEADERS];
            let mut request = httparse::Request::new(&mut headers);
            match request.parse(&self.rest) {
                Err(_) => return Err((400, "this is no request")),
                Ok(httparse::Status::Complete(len)) => {
                    let headers = request.headers.iter().map(|header| (header.name.to_owned(), header.value.to_vec()));
                    let [method, path] = [request.method, request.path].map(|text| text.unwrap_or_default().to_owned());
                    let head = Head { method, path, headers: headers.collect() };
                    self.rest.drain(..len);
                    return Ok(head);
                }
                Ok(httparse::Status::Partial) if self.rest.len() > HEAD => {
                    return Err((431, "the request is too long"));
                }
                Ok(httparse::Status::Partial) => self.more().map_err(|_| (408, "the request has not come"))?,
            }
        }
    }

    /// The body that follows a head.
    pub(super) fn body(&mut self, head: &Head) -> Result<Vec<u8>, Refusal> {
        let len = head.body_len()?;
        while self.rest.len() < len {
            self.more().map_err(|_| (408, "the request has not come"))?;
        }
        self.rest.truncate(len);
        Ok(std::mem::take(&mut self.rest))
    }

    /// Answers, and ends.
    pub(super) fn answer(mut self, status: u16, headers: &[(&str, &str)], body: &[u8]) -> io::Result<()> {
        let reason = if status == 200 { "OK" } else { "Refused" };
        let mut head = format!("HTTP/1.1 {status} {reason}\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
        headers.iter().for_each(|(name, value)| head += &format!("{name}: {value}\r\n"));
        self.stream.write_all(&[head.as_bytes(), b"\r\n", body].concat())?;
        self.stream.shutdown(Shutdown::Write)?;
        // What was not read would take the answer from its reader, were the connection closed now.
        self.until = Instant::now() + Duration::from_secs(1);
        let mut most = 2 * BODY / CHUNK;
        while most > 0 && self.more().is_ok() {
            self.rest.clear();
            most -= 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_by_their_parts() {
        let parts = |path: &str| Head { path: path.to_owned(), ..Head::default() }.parts();
        let texts = |parts: &[&str]| Some(parts.iter().map(|&part| part.to_owned()).collect::<Vec<_>>());
        assert_eq!(parts("/a/b%20c/%C3%A4"), texts(&["a", "b c", "\u{e4}"]));
        assert_eq!(parts("/a/..%2F%2e"), texts(&["a", "../."]));
        for path in ["a", "", "/%", "/%2", "/%zz", "/%+1", "/%ff"] {
            assert_eq!(parts(path), None, "{path}");
        }
    }

    #[test]
    fn lengths_are_one_small_number() {
        let len = |headers: &[(&str, &str)]| {
            let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
            Head { headers, ..Head::default() }.body_len().map_err(|(status, _)| status)
        };
        assert_eq!(len(&[]), Ok(0));
        assert_eq!(len(&[("Content-LENGTH", "12")]), Ok(12));
        for value in ["", "+1", "-1", " 1", "0x1", "1,1"] {
            assert_eq!(len(&[("content-length", value)]), Err(400), "{value}");
        }
        assert_eq!(len(&[("content-length", "1"), ("content-length", "1")]), Err(400));
        assert_eq!(len(&[("transfer-encoding", "chunked")]), Err(411));
        assert_eq!(len(&[("content-length", "262145")]), Err(413));
        assert_eq!(len(&[("content-length", "99999999999999999999999999")]), Err(413));
    }
}
