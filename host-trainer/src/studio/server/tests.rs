//! The server over its port, asked by something that is no browser.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;

use anyhow::bail;
use tempfile::TempDir;

use super::super::http::BODY;
use super::super::{Opener, Options};
use super::*;

/// A studio without its board, over a folder with one picture.
struct Served {
    host: String,
    token: String,
    folder: TempDir,
}

impl Served {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let pictures = folder.path().join("pictures");
        fs::create_dir_all(pictures.join("cat")).unwrap();
        fs::write(pictures.join("cat/one.png"), "a picture").unwrap();
        fs::write(folder.path().join("own.png"), "a secret").unwrap();
        fs::write(pictures.join("record.json"), "a secret").unwrap();
        let boards: Vec<(String, Opener)> =
            vec![("serial:none".to_owned(), Box::new(|| bail!("there is no such port")))];
        let studio = Studio::open(Options { boards, folder: pictures, models: Vec::new(), teaching: None }).unwrap();
        let server = Server::bind().unwrap();
        let Gate { host, token } = server.gate.clone();
        // Ends with the tests.
        std::thread::spawn(move || server.run(&studio));
        Self { host, token, folder }
    }

    /// Sends bytes; gives the status, the headers and the body.
    fn raw(&self, request: &str) -> (u16, String, String) {
        let mut stream = TcpStream::connect(&self.host).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), head.to_lowercase(), body.to_owned())
    }

    fn get(&self, path: &str) -> (u16, String, String) {
        let Self { host, token, .. } = self;
        self.raw(&format!("GET /{token}/{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
    }

    fn post(&self, body: &str) -> (u16, String) {
        let Self { host, token, .. } = self;
        let (status, _, body) = self.raw(&format!(
            "POST /{token}/do HTTP/1.1\r\nHost: {host}\r\nOrigin: http://{host}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            body.len()
        ));
        (status, body)
    }
}

#[test]
fn the_page_is_served_and_loads_nothing_from_elsewhere() {
    let served = Served::start();
    let (status, head, page) = served.get("");
    assert_eq!(status, 200);
    for (name, value) in HEADERS {
        assert!(head.contains(&format!("{name}: {}", value.to_lowercase())), "{name} is not in {head}");
    }
    for inline in ["<script>", "<style", " style=", "onclick", "javascript:", "http:", "https:"] {
        assert!(!page.contains(inline), "{inline}");
    }
    let files: Vec<&str> =
        page.split("src=\"").chain(page.split("href=\"")).filter_map(|rest| rest.split('"').next()).collect();
    for (name, script) in SCRIPTS {
        assert!(files.contains(&name));
        assert_eq!(served.get(name).2, script);
    }
    assert!(served.get("style.css").2.contains("#stage"));
    let (status, head, view) = served.get("view/0/0/0");
    assert!(status == 200 && head.contains("application/json"), "{head}");
    assert!(view.contains("serial:none") && view.contains("[\"cat\",1]"), "{view}");
    assert_eq!(served.get("pictures/cat").2, "[\"one.png\"]");
    assert_eq!(served.get("picture/cat/one.png").2, "a picture");
}

#[test]
fn others_are_refused_over_the_wire() {
    let served = Served::start();
    let Served { host, token, .. } = &served;
    let body = r#"{"do":"class","name":"dog"}"#;
    let asked = |host: &str, origin: &str, token: &str, kind: &str, len: usize| {
        served.raw(&format!(
            "POST /{token}/do HTTP/1.1\r\nHost: {host}\r\nOrigin: {origin}\r\nContent-Type: {kind}\r\nContent-Length: {len}\r\n\
             Connection: close\r\n\r\n{body}"
        ))
    };
    let (own, json, len) = (format!("http://{host}"), "application/json", body.len());
    for (expected, answer) in [
        (200, asked(host, &own, token, json, len)),
        (421, asked("evil.example", &own, token, json, len)),
        (403, asked(host, "http://evil.example", token, json, len)),
        (403, asked(host, "null", token, json, len)),
        (404, asked(host, &own, &token.replace(|_: char| true, "0"), json, len)),
        (415, asked(host, &own, token, "text/plain", len)),
        (413, asked(host, &own, token, json, BODY + 1)),
    ] {
        assert_eq!(answer.0, expected, "{answer:?}");
        assert!(answer.1.contains("content-security-policy") && !answer.1.contains("access-control"), "{}", answer.1);
    }
    let bare =
        |request: &str| served.raw(&format!("{request} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).0;
    assert_eq!(bare("GET /"), 404);
    assert_eq!(bare(&format!("GET /{token}/nothing")), 404);
    assert_eq!(served.raw("NONSENSE\r\n\r\n").0, 400);
    assert_eq!(served.raw(&format!("GET /{} HTTP/1.1\r\n", "a".repeat(20_000))).0, 431);
    assert_eq!(served.raw(&format!("GET / HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(65))).0, 400);
    let coded = format!("POST /{token}/do HTTP/1.1\r\nHost: {host}\r\nOrigin: {own}\r\nContent-Type: {json}\r\n");
    assert_eq!(served.raw(&format!("{coded}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")).0, 411);
    assert_eq!(bare(&format!("OPTIONS /{token}/do")), 403);
    assert_eq!(bare(&format!("DELETE /{token}/do")), 403);
    // A name that leads to this machine, as an attacker can make one.
    assert_eq!(
        served
            .raw(&format!("GET /{token}/ HTTP/1.1\r\nHost: localhost:{}\r\nConnection: close\r\n\r\n", &host[10..]))
            .0,
        421
    );
}

#[test]
fn paths_that_lead_elsewhere_are_refused() {
    let served = Served::start();
    for path in [
        "picture/cat/..%2F..%2Fown.png",
        "picture/..%2F/own.png",
        "picture/../own.png",
        "picture/%2E%2E/own.png",
        "picture/cat/%2E%2E%2Fown.png",
        "picture/cat/..%5C..%5Cown.png",
        "picture/./record.json",
        "picture/cat/one.png%00",
        "picture/cat/../../own.png",
        "pictures/..",
        "pictures/%2E%2E",
        "pictures/cat%2F..",
        "picture/cat/groups.csv",
    ] {
        let (status, _, body) = served.get(path);
        assert!((400..500).contains(&status), "{path}: {status}");
        assert!(!body.contains("secret"), "{path}");
    }
    for class in ["../up", "a/b", ".hidden", "unlabelled", " cat", ""] {
        let (status, body) = served.post(&json!({ "do": "class", "name": class }).to_string());
        assert!(status == 422 && body.contains("no name of a class"), "{class}: {body}");
        let picture = json!([{ "class": "cat", "name": "one.png" }]);
        let moved = json!({ "do": "relabel", "pictures": picture, "class": class }).to_string();
        assert_eq!(served.post(&moved).0, 422, "{class}");
    }
    let outside = json!({ "do": "delete", "pictures": [{ "class": "..", "name": "own.png" }] }).to_string();
    assert_eq!(served.post(&outside).0, 422);
    assert_eq!(fs::read_to_string(served.folder.path().join("own.png")).unwrap(), "a secret");
    assert_eq!(served.get("picture/cat/one.png").0, 200);
}

#[test]
fn what_makes_no_sense_is_refused_in_words() {
    let served = Served::start();
    for (body, part) in [
        ("", "nothing that a page asks for"),
        ("{}", "nothing that a page asks for"),
        (r#"{"do":"format-disk"}"#, "nothing that a page asks for"),
        (r#"{"do":"step","board":0,"more":1}"#, "nothing that a page asks for"),
        (r#"{"do":"step","board":9}"#, "no such board"),
        (r#"{"do":"save","board":0,"number":7,"class":"cat"}"#, "that frame is gone"),
        (r#"{"do":"burst","board":0,"count":100000,"class":"cat"}"#, "at most"),
        (r#"{"do":"send","board":0,"model":0}"#, "no such model"),
        (r#"{"do":"teach","model":0}"#, "no such model"),
        (r#"{"do":"automatic","board":0,"rule":"disagreeing","percent":null,"class":null}"#, "float network"),
        (r#"{"do":"automatic","board":0,"rule":"unsure","percent":1e9,"class":null}"#, "100 percent"),
    ] {
        let (status, answer) = served.post(body);
        assert!(status == 422 && answer.contains(part), "{body}: {answer}");
    }
    assert_eq!(served.get("view/9/0/0").0, 422);
    assert_eq!(served.get("view/0/-1/x").0, 400);
}

/// Two pages wait; what one does, both see at once.
#[test]
fn a_change_ends_the_wait_of_all_pages() {
    let served = Served::start();
    let served = &served;
    std::thread::scope(|threads| {
        let version =
            |view: &str| serde_json::from_str::<serde_json::Value>(view).unwrap()["version"].as_u64().unwrap();
        let wait = move || {
            // The board is lost again and again meanwhile, which is a change as well.
            let mut before = version(&served.get("view/0/0/0").2);
            loop {
                let view = served.get(&format!("view/0/{before}/0")).2;
                if view.contains("[\"dog\",0]") {
                    return version(&view);
                }
                before = version(&view);
            }
        };
        let waiting = [threads.spawn(wait), threads.spawn(wait)];
        assert_eq!(served.post(r#"{"do":"class","name":"dog"}"#).0, 200);
        waiting.into_iter().for_each(|page| assert!(page.join().unwrap() > 0));
    });
}

#[test]
fn two_studios_share_no_folder() {
    let served = Served::start();
    let boards: Vec<(String, Opener)> = vec![("serial:none".to_owned(), Box::new(|| bail!("none")))];
    let options = Options { boards, folder: served.folder.path().join("pictures"), models: Vec::new(), teaching: None };
    let error = Studio::open(options).err().expect("it is taken").to_string();
    assert!(error.contains("another process is collecting into"), "{error}");
}
