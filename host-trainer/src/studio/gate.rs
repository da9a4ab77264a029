//! Who may ask: only pages that this program has served itself, to the browser of whoever has read its address.
//!
//! Other programs' pages in the same browser can send requests to any port of this machine. They know neither the token, nor can they
//! hide where they come from: a browser says so in `Origin` and `Sec-Fetch-Site`, and a name that an attacker lets lead here stands in
//! `Host`.

use super::http::{Head, Refusal};

/// What a request must show.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    /// `127.0.0.1:PORT`.
    pub host: String,
    /// The start of each path.
    pub token: String,
}

impl Gate {
    /// Refuses a request that no page of this program sends.
    pub(super) fn admit(&self, head: &Head) -> Result<(), Refusal> {
        if head.all("host") != [self.host.as_bytes()] {
            return Err((421, "this is not the address that the studio has printed"));
        }
        let own = format!("http://{}", self.host);
        let reads = head.method == "GET";
        let origin_fits = match &head.all("origin")[..] {
            [] => reads,
            [origin] => *origin == own.as_bytes(),
            _ => false,
        };
        let site_fits = match &head.all("sec-fetch-site")[..] {
            // Programs that are no browsers do not say it.
            [] | [b"same-origin"] => true,
            // A person has typed the address, or opened it from elsewhere than a page.
            [b"none"] => reads,
            _ => false,
        };
        if !origin_fits || !site_fits {
            return Err((403, "the request comes from a page of another origin"));
        }
        let token = head.path.strip_prefix('/').and_then(|path| path.split_once('/')).map_or("", |(token, _)| token);
        if !is_same(token, &self.token) {
            return Err((404, "this is not the address that the studio has printed"));
        }
        match head.method.as_str() {
            "GET" => Ok(()),
            "POST" if head.all("content-type") == [b"application/json".as_slice()] => Ok(()),
            "POST" => Err((415, "send JSON")),
            _ => Err((405, "only GET and POST are answered")),
        }
    }
}

/// Compares in a time that does not tell how much of a token is right.
fn is_same(given: &str, token: &str) -> bool {
    let difference = given.bytes().zip(token.bytes()).fold(0, |difference, (a, b)| difference | (a ^ b));
    given.len() == token.len() && difference == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(method: &str, path: &str, headers: &[(&str, &str)]) -> Result<(), u16> {
        let gate = Gate { host: "127.0.0.1:4711".to_owned(), token: "0123abcd".to_owned() };
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec())).collect();
        let head = Head { method: method.to_owned(), path: path.to_owned(), headers };
        gate.admit(&head).map_err(|(status, _)| status)
    }

    const HOST: (&str, &str) = ("host", "127.0.0.1:4711");
    const OWN: (&str, &str) = ("origin", "http://127.0.0.1:4711");
    const JSON: (&str, &str) = ("content-type", "application/json");
    const PATH: &str = "/0123abcd/do";

    #[test]
    fn what_the_own_page_asks_is_answered() {
        assert_eq!(asked("GET", "/0123abcd/", &[HOST]), Ok(()));
        assert_eq!(asked("GET", "/0123abcd/", &[HOST, ("sec-fetch-site", "none")]), Ok(()));
        assert_eq!(asked("POST", PATH, &[HOST, OWN, JSON, ("sec-fetch-site", "same-origin")]), Ok(()));
    }

    #[test]
    fn other_hosts_are_refused() {
        for host in ["localhost:4711", "127.0.0.1", "127.0.0.1:4712", "evil.example", "127.0.0.1:4711.evil.example", ""]
        {
            assert_eq!(asked("GET", PATH, &[("host", host)]), Err(421), "{host}");
        }
        assert_eq!(asked("GET", PATH, &[]), Err(421));
        assert_eq!(asked("GET", PATH, &[HOST, HOST]), Err(421));
    }

    #[test]
    fn other_origins_are_refused() {
        for origin in
            ["http://evil.example", "null", "https://127.0.0.1:4711", "http://127.0.0.1:4712", "http://localhost:4711"]
        {
            assert_eq!(asked("POST", PATH, &[HOST, JSON, ("origin", origin)]), Err(403), "{origin}");
            assert_eq!(asked("GET", PATH, &[HOST, ("origin", origin)]), Err(403), "{origin}");
        }
        assert_eq!(asked("POST", PATH, &[HOST, JSON]), Err(403), "a change without an origin");
        assert_eq!(asked("POST", PATH, &[HOST, JSON, OWN, OWN]), Err(403));
        for site in ["cross-site", "same-site", "anything"] {
            assert_eq!(asked("GET", PATH, &[HOST, ("sec-fetch-site", site)]), Err(403), "{site}");
        }
        assert_eq!(asked("POST", PATH, &[HOST, JSON, OWN, ("sec-fetch-site", "none")]), Err(403));
    }

    #[test]
    fn other_tokens_are_refused() {
        for path in [
            "/",
            "/0123abcd",
            "/0123abc/do",
            "/0123abcde/do",
            "/0123abce/do",
            "//0123abcd/do",
            "/x/0123abcd/do",
            "0123abcd/",
        ] {
            assert_eq!(asked("GET", path, &[HOST]), Err(404), "{path}");
        }
    }

    #[test]
    fn other_methods_and_forms_are_refused() {
        assert_eq!(asked("PUT", PATH, &[HOST, OWN, JSON]), Err(405));
        assert_eq!(asked("OPTIONS", PATH, &[HOST, OWN]), Err(405));
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=a"] {
            assert_eq!(asked("POST", PATH, &[HOST, OWN, ("content-type", kind)]), Err(415), "{kind}");
        }
        assert_eq!(asked("POST", PATH, &[HOST, OWN]), Err(415));
    }
}
