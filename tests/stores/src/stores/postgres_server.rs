//! A `PostgreSQL` server of our own, from Debian's package: a cluster made here, a Unix socket, no network.

use std::{
    fs::{self, File},
    os::unix::{
        fs::{MetadataExt as _, chown},
        process::CommandExt as _,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use postgres::{Client, Config, NoTls};

use crate::store::{CACHE_SIZE, Fault};

/// Between two looks at something that is about to happen.
const PAUSE: Duration = Duration::from_millis(1);

/// The account that Debian's package makes; a server refuses to run as root.
const ACCOUNT: &str = "postgres";

/// A running server. It is stopped when this is dropped.
pub(crate) struct Server {
    process: Child,
    dir: PathBuf,
}

impl Server {
    /// Starts the server of a directory, and makes its cluster if there is none.
    pub(crate) fn start(dir: &Path) -> Result<Server, Fault> {
        let (programs, data) = (programs()?, dir.join("data"));
        if !data.join("PG_VERSION").exists() {
            fs::create_dir_all(&data)?;
            if let Some((user, group)) = account()? {
                chown(&data, Some(user), Some(group))?;
                chown(dir, Some(user), Some(group))?;
            }
            let mut initdb = as_account(programs.join("initdb"))?;
            initdb.args(["--auth=trust", "--username=bench", "--encoding=UTF8", "--locale=C"]);
            let made = initdb.arg("--pgdata").arg(&data).output()?;
            if !made.status.success() {
                return Err(String::from_utf8_lossy(&made.stderr).into());
            }
        }
        let mut server = as_account(programs.join("postgres"))?;
        server.arg("-D").arg(&data).arg("-k").arg(dir);
        let mebibytes = CACHE_SIZE / 1024 / 1024;
        for setting in [
            "listen_addresses=",
            "fsync=on",
            "synchronous_commit=on",
            "max_connections=100",
            "max_wal_size=4GB",
            &format!("shared_buffers={mebibytes}MB"),
        ] {
            server.args(["-c", setting]);
        }
        let log = File::options().create(true).append(true).open(dir.join("server.log"))?;
        server.stdout(log.try_clone()?).stderr(log);
        Ok(Server { process: server.spawn()?, dir: dir.to_owned() })
    }

    /// Connects, as soon as the server takes connections.
    pub(crate) fn connect(&mut self) -> Result<Client, Fault> {
        loop {
            match connect(&self.dir) {
                Ok(client) => return Ok(client),
                Err(e) if self.process.try_wait()?.is_some() => {
                    let log = fs::read_to_string(self.dir.join("server.log"))?;
                    let last = log.lines().last().unwrap_or_default();
                    return Err(format!("PostgreSQL ended: {e}: {last}").into());
                }
                Err(_) => thread::park_timeout(PAUSE),
            }
        }
    }

    /// Fails unless a commit waits for the disk.
    pub(crate) fn assert_durable(client: &mut Client) -> Result<(), Fault> {
        let wanted = [("fsync", "on"), ("synchronous_commit", "on"), ("full_page_writes", "on")];
        for (setting, wanted) in wanted {
            let found: String = client.query_one(&format!("SHOW {setting}"), &[])?.get(0);
            if found != wanted {
                return Err(format!("{setting} is {found}").into());
            }
        }
        Ok(())
    }

    /// A clean stop, which ends with a checkpoint.
    fn stop(&mut self) -> Result<(), Fault> {
        if self.process.try_wait()?.is_none() {
            signal("-INT", &[self.process.id()])?;
            self.process.wait()?;
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}

/// Connects to the server of a directory.
pub(crate) fn connect(dir: &Path) -> Result<Client, postgres::Error> {
    Config::new().host_path(dir).user("bench").dbname("postgres").connect(NoTls)
}

/// Kills the server of a directory with all its processes, as a crash would.
pub(crate) fn kill(dir: &Path) -> Result<(), Fault> {
    let file = fs::read_to_string(dir.join("data/postmaster.pid"))?;
    let server: u32 = file.lines().next().ok_or("no process is named")?.trim().parse()?;
    let children = fs::read_to_string(format!("/proc/{server}/task/{server}/children"))?;
    let mut all = vec![server];
    all.extend(children.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()));
    signal("-KILL", &all)?;
    while all.iter().any(|pid| is_running(*pid)) {
        thread::park_timeout(PAUSE);
    }
    Ok(())
}

/// A dead process that nobody has waited for holds nothing any more.
fn is_running(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, state)| !state.starts_with(['Z', 'X']))
}

fn signal(signal: &str, pids: &[u32]) -> Result<(), Fault> {
    // One of them may have ended meanwhile, of which `kill` would tell.
    let mut kill = Command::new("kill");
    kill.arg(signal).args(pids.iter().map(u32::to_string)).stderr(Stdio::null()).status()?;
    Ok(())
}

/// Where Debian keeps the newest version's programs, which are not on the path.
fn programs() -> Result<PathBuf, Fault> {
    let missing = "PostgreSQL is missing; type: apt-get install postgresql";
    let versions = fs::read_dir("/usr/lib/postgresql").map_err(|_| missing)?.flatten();
    let programs = versions.map(|version| version.path().join("bin"));
    programs.filter(|bin| bin.join("initdb").exists()).max().ok_or_else(|| missing.into())
}

/// What runs as the package's account if we are root, and as ourselves if not.
fn as_account(program: PathBuf) -> Result<Command, Fault> {
    let mut command = Command::new(program);
    if let Some((user, group)) = account()? {
        command.uid(user).gid(group).current_dir("/");
    }
    Ok(command)
}

/// User and group of the package's account, if we are root.
fn account() -> Result<Option<(u32, u32)>, Fault> {
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let accounts = fs::read_to_string("/etc/passwd")?;
    for line in accounts.lines() {
        if let [ACCOUNT, _, user, group, ..] = line.split(':').collect::<Vec<_>>().as_slice() {
            return Ok(Some((user.parse()?, group.parse()?)));
        }
    }
    Err("there is no account postgres, and a server refuses to run as root".into())
}
