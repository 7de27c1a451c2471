//! Who is at work on the directory: the writer's lock, the server, its views and open files.

use std::{fs, os::unix::fs::MetadataExt as _, path::Path, time::Duration};

use super::{Check, command, quoted};
use crate::{
    home::{Home, Serving},
    remote::Remote,
    serve::door::{FILES_KEPT, open_files as limit_in},
};

/// How long a server has to answer: it does so at once, or is stuck.
const ANSWER_WAIT_MAX: Duration = Duration::from_secs(5);

/// Open files that leave a server room for connections.
const OPEN_FILES_MIN: usize = 1_024;

/// A process that holds the writer's lock.
pub(super) struct Holder {
    pid: u32,
    /// The program's name, where it can be read.
    name: String,
}

/// What `serve.json` says, and what became of it.
pub(super) enum Server {
    None,
    /// The file cannot be read or is none of ours.
    Unreadable,
    /// It names another directory: the file was copied.
    Copied,
    Silent(Serving),
    /// It answers: the status and body of `/readyz`.
    Answers(Serving, u16, serde_json::Value),
}

/// The process that holds the writer's lock, as Linux tells it. Nothing is locked to find out.
pub(super) fn lock_holder(home: &Home) -> Option<Holder> {
    let pid = holder_of(&home.log().join("lock"))?;
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
    let name = if name.trim().is_empty() { "a program" } else { name.trim() };
    Some(Holder { pid, name: name.to_owned() })
}

/// The process that has locked a file or directory.
pub(super) fn holder_of(path: &Path) -> Option<u32> {
    let lock = fs::metadata(path).ok()?;
    let locks = fs::read_to_string("/proc/locks").ok()?;
    let (major, minor) = (rustix::fs::major(lock.dev()), rustix::fs::minor(lock.dev()));
    holder_in(&locks, &format!("{major:02x}:{minor:02x}:{}", lock.ino()))
}

/// The process that has locked a file, in the form of `proc_locks(5)`.
fn holder_in(locks: &str, file: &str) -> Option<u32> {
    locks.lines().find_map(|line| {
        let words: Vec<_> = line.split_whitespace().collect();
        match words.as_slice() {
            [_, "FLOCK", _, "WRITE", pid, place, ..] if *place == file => pid.parse().ok(),
            _ => None,
        }
    })
}

/// The server that `serve.json` names.
pub(super) fn server(home: &Home) -> Server {
    let Some(serving) = home.serving() else {
        let there = fs::symlink_metadata(home.dir().join("serve.json")).is_ok();
        return if there { Server::Unreadable } else { Server::None };
    };
    if home.place().is_ok_and(|place| place != serving.place) {
        return Server::Copied;
    }
    let remote = Remote::named(serving.clone(), ANSWER_WAIT_MAX);
    if !remote.proves_itself() {
        return Server::Silent(serving);
    }
    match remote.readiness() {
        Ok((status, body)) => Server::Answers(serving, status, body),
        Err(_) => Server::Silent(serving),
    }
}

/// Where the directory's server answers.
#[cfg(feature = "kafka")]
pub(super) fn answering(server: &Server) -> Option<&str> {
    match server {
        Server::Answers(serving, ..) => Some(&serving.url),
        _ => None,
    }
}

/// Who holds the writer's lock, and whether that is who says so.
pub(super) fn writer(home: &Home, holder: Option<&Holder>, server: &Server) -> Check {
    let leftover = quoted(&home.dir().join("serve.json"));
    match (holder, server) {
        (Some(Holder { pid, .. }), Server::Answers(serving, ..)) if *pid == serving.pid => {
            let url = &serving.url;
            Check::ok(
                "writer",
                format!("process {pid} serves at {url}, holds the lock and answers"),
            )
        }
        (_, Server::Answers(serving, ..)) => {
            let Serving { url, pid, .. } = serving;
            Check::ok("writer", format!("process {pid} serves at {url} and answers"))
        }
        (Some(Holder { pid, .. }), Server::Silent(serving)) if *pid == serving.pid => {
            let url = &serving.url;
            Check::problem(
                "writer",
                format!("process {pid} holds the lock and does not answer at {url}"),
                format!(
                    "look at what it says on stderr; then `kill {pid}` and `{}`",
                    command("serve", home)
                ),
            )
        }
        (Some(Holder { pid, name }), _) => {
            Check::ok("writer", format!("process {pid} ({name}) holds the lock and is recording"))
        }
        (None, Server::None) => Check::ok("writer", "nobody holds the lock and no server runs"),
        (None, Server::Silent(Serving { pid, .. })) => Check::warning(
            "writer",
            format!("serve.json is left over from process {pid}, which was killed"),
            format!("`{}` replaces it, or `rm {leftover}`", command("serve", home)),
        ),
        (None, Server::Copied) => Check::warning(
            "writer",
            "serve.json was copied from another directory, which its server holds",
            format!("`rm {leftover}`"),
        ),
        (None, Server::Unreadable) => Check::warning(
            "writer",
            "serve.json cannot be read, so commands go on without the server that it names",
            format!("look as the owner; without a server `rm {leftover}`"),
        ),
    }
}

/// Whether the writer, or a server that is started from here, may open enough files.
pub(super) fn open_files(holder: Option<&Holder>) -> Check {
    let whose = |pid: &str| fs::read_to_string(format!("/proc/{pid}/limits"));
    let of_holder = holder.and_then(|holder| whose(&holder.pid.to_string()).ok());
    let (limits, who) = match of_holder {
        Some(limits) => (limits, "the process that holds the lock"),
        None => (whose("self").unwrap_or_default(), "a server that is started from here"),
    };
    let Some(limit) = limit_in(&limits) else {
        return Check::ok("open_files", "no limit of open files is known");
    };
    let room = limit.saturating_sub(FILES_KEPT);
    let finding = format!("{who} may open {limit} files: room for {room} connections");
    let remedy =
        "`ulimit -n 65536` before `rollout-ledger serve`, or LimitNOFILE=65536 in its unit";
    match limit {
        limit if limit <= FILES_KEPT => Check::problem("open_files", finding, remedy),
        limit if limit < OPEN_FILES_MIN => Check::warning("open_files", finding, remedy),
        _ => Check::ok("open_files", finding),
    }
}

/// Whether answers are as new as the log, and what lies about of older views.
pub(super) fn views(home: &Home, server: &Server) -> Check {
    if let Server::Answers(_, status, body) = server {
        let text = |name: &str| body.get(name).and_then(|v| v.as_str()).unwrap_or_default();
        match (status, text("code")) {
            (_, "catching_up") => {
                let remedy =
                    "wait; if it grows, stop the server and `rollout-ledger views rebuild`";
                return Check::warning("views", text("detail"), remedy);
            }
            (_, "not_recording") => {
                let remedy = format!("`{}`, once it has ended", command("serve", home));
                return Check::problem("views", text("detail"), remedy);
            }
            (_, "verifying") => {
                return Check::ok("views", "the server verifies the log before it is ready");
            }
            (200, _) => {}
            _ => {
                let remedy = "see the other lines, and what the server says on stderr";
                return Check::warning("views", text("detail"), remedy);
            }
        }
    }
    let aside: Vec<_> = fs::read_dir(home.dir())
        .into_iter()
        .flatten()
        .flatten()
        .filter(|file| file.file_name().to_string_lossy().starts_with("views.quarantine-"))
        .map(|file| quoted(&file.path()))
        .collect();
    if !aside.is_empty() {
        let finding = format!("{} set aside because they could not be read", plural(aside.len()));
        return Check::warning("views", finding, format!("`rm -r {}`", aside.join(" ")));
    }
    match server {
        Server::Answers(..) => Check::ok("views", "the server's answers are as new as the log"),
        _ if home.views().is_dir() => Check::ok(
            "views",
            "no server answers from them; the next one brings them to the log's head, and commands \
             read the log",
        ),
        _ => Check::ok("views", "there are none; the next server makes them from the log"),
    }
}

fn plural(len: usize) -> String {
    if len == 1 { "1 store of views was".to_owned() } else { format!("{len} stores of views were") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_lock_is_found_in_what_linux_tells() {
        let locks = "1: FLOCK  ADVISORY  WRITE 4833 08:01:131 0 EOF\n\
                     1: -> FLOCK  ADVISORY  WRITE 4999 08:01:131 0 EOF\n\
                     2: POSIX  ADVISORY  WRITE 77 08:01:132 0 EOF\n\
                     3: FLOCK  ADVISORY  READ 78 08:01:133 0 EOF\n";
        assert_eq!(holder_in(locks, "08:01:131"), Some(4833));
        for other in ["08:01:132", "08:01:133", "08:01:13", "08:02:131"] {
            assert_eq!(holder_in(locks, other), None, "{other}");
        }
    }
}
