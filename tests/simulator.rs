//! `vigia simulator` as a process: it says where it listens and with which keys, answers, and ends in order on a signal.
#![allow(clippy::disallowed_methods, reason = "a test of a process waits in real time")]
#![allow(clippy::unwrap_used, reason = "a test fails by it, and says where")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout, Command, Stdio};

/// Kills what a failed test leaves behind.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts it, and reads what it says of itself.
fn begin(arguments: &[&str]) -> (Running, BufReader<ChildStdout>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vigia"));
    command.arg("simulator").args(["--port", "0"]).args(arguments);
    let mut child = Running(command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap());
    let mut output = BufReader::new(child.0.stdout.take().unwrap());
    let mut said = String::new();
    while !said.contains("Ctrl-C stops it.") {
        assert!(output.read_line(&mut said).unwrap() > 0, "it ended early: {said}");
    }
    (child, output, said)
}

fn get(said: &str, path: &str) -> String {
    let address = said.split("http://").nth(1).unwrap().split('/').next().unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn it_answers_and_ends_on_a_signal() {
    for signal in ["INT", "TERM"] {
        let (mut child, mut output, said) =
            begin(&["--seed", "3", "--account", "alice:USDT=5", "--key", "alice:hmac=K:geheim"]);
        assert!(said.contains("account alice") && said.contains("5 USDT") && said.contains("api key  K"), "{said}");
        assert!(!said.contains("geheim"), "a secret that was given is shown: {said}");
        assert!(get(&said, "/api/v3/time").contains("serverTime"));
        let sent = Command::new("kill").arg(format!("-{signal}")).arg(child.0.id().to_string()).status().unwrap();
        assert!(sent.success());
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        assert!(rest.contains("stopped"), "{rest}");
        assert_eq!(child.0.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn what_it_keeps_is_there_again() {
    let state = tempfile::tempdir().unwrap();
    let state = state.path().to_str().unwrap();
    let starts: Vec<String> = (0..2)
        .map(|_| {
            let (mut child, mut output, said) = begin(&["--seed", "3", "--state", state]);
            assert!(said.contains("SIMULATOR TEST KEY"), "{said}");
            let begun = get(&said, "/admin/state");
            Command::new("kill").arg("-INT").arg(child.0.id().to_string()).status().unwrap();
            output.read_to_string(&mut String::new()).unwrap();
            child.0.wait().unwrap();
            begun.split("\"start\":").nth(1).unwrap().split(',').next().unwrap().to_owned()
        })
        .collect();
    assert_eq!(starts[0], starts[1], "the made-up market began anew");
}

#[test]
fn a_wrong_call_is_told_without_its_secret() {
    for (arguments, expected) in [
        (["--key", "nobody:hmac=K:geheim"], "add --account nobody"),
        (["--key", "geheim"], "write name:hmac"),
        (["--speed", "0"], "0.1 to 100000"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_vigia")).arg("simulator").args(arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(expected) && !said.contains("geheim"), "{said}");
        assert_eq!(output.status.code(), Some(2), "{said}");
    }
}
