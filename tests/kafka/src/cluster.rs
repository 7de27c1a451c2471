//! One or three brokers, and what a test does to them.

use std::{
    fs,
    hash::{BuildHasher as _, RandomState},
    net::{Ipv4Addr, TcpListener},
    path::PathBuf,
    process::Command,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::{
    Proxy,
    jars::{class_path, place},
    node::{Node, java_options},
    properties::{Ports, of_node},
};

/// Below Linux's range for outgoing connections, so that none of those takes a port in between.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
/// Indexes are made this large in advance, in bytes.
const INDEX_SIZE: u64 = 10 << 20;
/// Another test program may take a port between the moment we find it free and the broker's start.
const TRIES: usize = 4;

/// How a [`Cluster`] is to be. The default is one open broker.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Three brokers, each topic of the cluster's own on all of them; else one.
    pub three: bool,
    /// Clients must log in (SASL PLAIN, users `admin`, `writer`, `reader` and `intruder`, each with its name and
    /// `-secret` as password), and may do only what access control lists say. `admin` may do everything.
    pub access_control: bool,
    /// More lines of `server.properties`, for every node. The last line of a name counts.
    pub properties: Vec<String>,
    /// Clients are sent to a [`Proxy`] before each broker, and the brokers to another one: see
    /// [`Cluster::inner_proxy`].
    pub proxies: bool,
    /// The size in KiB at which files of a node stop growing, by node: a full disk. Above 10,240, the size of an
    /// index that a broker makes in advance.
    pub file_size_kb: Vec<(usize, u64)>,
}

/// Brokers that run until this is dropped, or the process ends in any other way. Nodes count from 1.
#[derive(Debug)]
pub struct Cluster {
    dir: PathBuf,
    options: Options,
    class_path: String,
    ports: Vec<Ports>,
    proxies: Vec<Proxy>,
    inner_proxies: Vec<Proxy>,
    /// `None`: killed or stopped.
    nodes: Mutex<Vec<Option<Node>>>,
}

impl Cluster {
    /// Formats and starts the brokers, and returns when they are ready: 5 seconds for one, 12 for three.
    ///
    /// # Panics
    ///
    /// With the command to type, if Java 17 or Maven is missing; with a broker's last words, if it does not start.
    pub fn start(options: &Options) -> Cluster {
        let class_path = class_path();
        let mut said = String::new();
        for _ in 0..TRIES {
            match Cluster::try_start(options, &class_path) {
                Ok(cluster) => return cluster,
                Err(why) => said = why,
            }
        }
        panic!("Kafka does not start:\n{said}");
    }

    fn try_start(options: &Options, class_path: &str) -> Result<Cluster, String> {
        static CLUSTERS: AtomicUsize = AtomicUsize::new(0);
        let number = CLUSTERS.fetch_add(1, Ordering::Relaxed);
        let dir = place().join(format!("run-{}-{number}", std::process::id()));
        let count = if options.three { 3 } else { 1 };
        let proxies = || (0..count).filter(|_| options.proxies).map(|_| Proxy::new()).collect();
        let cluster = Cluster {
            dir,
            options: options.clone(),
            class_path: class_path.to_owned(),
            ports: free_ports(count),
            proxies: proxies(),
            inner_proxies: proxies(),
            nodes: Mutex::new((0..count).map(|_| None).collect()),
        };
        cluster.format();
        for (proxy, ports) in cluster.proxies.iter().zip(&cluster.ports) {
            proxy.forward_to(ports.client);
        }
        for (proxy, ports) in cluster.inner_proxies.iter().zip(&cluster.ports) {
            proxy.forward_to(ports.internal);
        }
        (1..=count).for_each(|id| cluster.launch(id));
        (1..=count).try_for_each(|id| cluster.try_ready(id))?;
        Ok(cluster)
    }

    /// What a client takes as `bootstrap.servers`: the proxies, if there are any.
    pub fn bootstrap(&self) -> String {
        let ids = 1..=self.ports.len();
        ids.map(|id| self.advertised(id)).collect::<Vec<_>>().join(",")
    }

    /// The brokers themselves, whether there are proxies or not; clients are sent to the proxies all the same.
    pub fn ports(&self) -> Vec<u16> {
        self.ports.iter().map(|ports| ports.client).collect()
    }

    /// The proxy before a node.
    ///
    /// # Panics
    ///
    /// If the cluster was started without proxies.
    pub fn proxy(&self, id: usize) -> &Proxy {
        self.proxies.get(id - 1).expect("the cluster was started with `proxies`")
    }

    /// The proxy through which other brokers reach a node: its followers, which copy what it leads, and coordinators,
    /// which end transactions in it. What controllers tell each other does not pass it.
    ///
    /// # Panics
    ///
    /// If the cluster was started without proxies.
    pub fn inner_proxy(&self, id: usize) -> &Proxy {
        self.inner_proxies.get(id - 1).expect("the cluster was started with `proxies`")
    }

    /// From now on, and until this node is started again, the file that it appends a topic's partition 0 to grows by
    /// so many KiB and not more, as on a disk that fills.
    ///
    /// # Panics
    ///
    /// If the node does not have the topic.
    pub fn leave_room(&self, id: usize, topic: &str, kb: u64) {
        let dir = self.node_dir(id).join("data").join(format!("{topic}-0"));
        let files = fs::read_dir(&dir).expect("the node has the topic");
        let files = files.map(|file| file.expect("it can be listed"));
        let logs = files.filter(|file| file.path().extension().is_some_and(|e| e == "log"));
        let newest = logs.max_by_key(fs::DirEntry::file_name).expect("a partition has a file");
        let size = newest.metadata().map_or(0, |found| found.len());
        let limit = size.max(INDEX_SIZE) + kb * 1_024;
        // The soft limit alone, which anyone may set for his own processes.
        let pid = self.pid(id).to_string();
        let set =
            Command::new("prlimit").args(["--pid", &pid, &format!("--fsize={limit}:")]).status();
        assert!(set.is_ok_and(|set| set.success()), "type: apt-get install util-linux");
    }

    /// Kills a broker, as if its power went. Its data stays.
    pub fn kill(&self, id: usize) {
        self.take(id).kill();
    }

    /// Stops a broker in good order.
    pub fn stop(&self, id: usize) {
        self.take(id).stop();
    }

    /// Starts a broker again that was killed, stopped or has ended by itself, and waits until it is ready.
    pub fn restart(&self, id: usize) {
        self.launch(id);
        self.ready(id);
    }

    /// Starts a broker again without waiting for it.
    pub fn launch(&self, id: usize) {
        let limits = &self.options.file_size_kb;
        let limit = limits.iter().find(|(node, _)| *node == id).map(|(_, kb)| *kb);
        let node = Node::start(&self.node_dir(id), &self.class_path, limit);
        if let Some(ended) = slot(&mut self.nodes(), id).replace(node) {
            ended.kill();
        }
    }

    /// Waits until a broker that was launched is ready.
    pub fn ready(&self, id: usize) {
        if let Err(last_words) = self.try_ready(id) {
            panic!("node {id} is not ready:\n{last_words}");
        }
    }

    fn try_ready(&self, id: usize) -> Result<(), String> {
        self.with(id, Node::ready)
    }

    /// Whether a broker's process is there, paused or not.
    pub fn alive(&self, id: usize) -> bool {
        slot(&mut self.nodes(), id).as_mut().is_some_and(Node::alive)
    }

    /// Stops a broker's process in the middle of whatever it does, as when its machine hangs.
    pub fn pause(&self, id: usize) {
        self.with(id, Node::pause);
    }

    /// Lets a paused broker go on.
    pub fn resume(&self, id: usize) {
        self.with(id, Node::resume);
    }

    /// The process id of a broker.
    pub fn pid(&self, id: usize) -> u32 {
        self.with(id, |node| node.pid)
    }

    /// What a broker has written so far.
    pub fn log(&self, id: usize) -> String {
        fs::read_to_string(self.node_dir(id).join("server.log")).unwrap_or_default()
    }

    /// Runs one of Kafka's own commands as the administrator, such as `kafka-topics.sh --list`, and returns what
    /// it printed. `--bootstrap-server` is given, in place of any that `args` names.
    ///
    /// # Panics
    ///
    /// If the command is none of Kafka's, or fails.
    pub fn tool(&self, command: &str, args: &[&str]) -> String {
        let class = match command.trim_end_matches(".sh") {
            "kafka-configs" => "kafka.admin.ConfigCommand",
            "kafka-topics" => "org.apache.kafka.tools.TopicCommand",
            "kafka-acls" => "org.apache.kafka.tools.AclCommand",
            "kafka-reassign-partitions" => {
                "org.apache.kafka.tools.reassign.ReassignPartitionsCommand"
            }
            "kafka-transactions" => "org.apache.kafka.tools.TransactionsCommand",
            "kafka-delete-records" => "org.apache.kafka.tools.DeleteRecordsCommand",
            other => panic!("{other} is no command of Kafka that is known here"),
        };
        let internal: Vec<_> =
            self.ports.iter().map(|ports| format!("127.0.0.1:{}", ports.internal)).collect();
        let mut java = Command::new("java");
        java.args(java_options(&self.dir)).arg("-Dkafka.log.level=OFF");
        java.args(["-cp", &self.class_path, class]);
        java.args(["--bootstrap-server", &internal.join(",")]);
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            match *arg {
                "--bootstrap-server" => drop(args.next()),
                arg => drop(java.arg(arg)),
            }
        }
        let ran = java.output().expect("Java was there when the cluster started");
        let said = String::from_utf8_lossy(&ran.stdout).into_owned();
        let complained = String::from_utf8_lossy(&ran.stderr);
        // `kafka-topics` tells what is wrong on its standard output, and some tools end with 0 all the same.
        let failed = !ran.status.success() || said.contains("Error while executing");
        assert!(!failed, "{command} {args:?} failed:\n{said}{complained}");
        said
    }

    fn advertised(&self, id: usize) -> String {
        match (self.proxies.get(id - 1), self.ports.get(id - 1)) {
            (Some(proxy), _) => format!("127.0.0.1:{}", proxy.port()),
            (None, Some(ports)) => format!("127.0.0.1:{}", ports.client),
            (None, None) => panic!("there is no node {id}"),
        }
    }

    fn format(&self) {
        let (cluster_id, count) = (uuid(), self.ports.len());
        let voters: Vec<_> = self.ports.iter().map(|ports| (uuid(), ports.controller)).collect();
        let voters: Vec<_> = voters
            .iter()
            .enumerate()
            .map(|(at, (uuid, port))| format!("{}@127.0.0.1:{port}:{uuid}", at + 1))
            .collect();
        for id in 1..=count {
            let dir = self.node_dir(id);
            fs::create_dir_all(&dir).expect("target/kafka can be written");
            let (advertised, file) = (self.advertised(id), dir.join("server.properties"));
            let inner = self.inner_proxies.get(id - 1).map(Proxy::port);
            let seen = (advertised.as_str(), inner, self.options.access_control);
            let text = of_node(id, &self.ports, &dir, seen, &self.options.properties);
            fs::write(&file, text).expect("target/kafka can be written");
            let mut java = Command::new("java");
            java.args(java_options(&dir)).args(["-cp", &self.class_path]);
            java.args(["kafka.tools.StorageTool", "format", "--cluster-id", &cluster_id]);
            java.arg("--config").arg(&file);
            match count {
                1 => java.arg("--standalone"),
                _ => java.args(["--initial-controllers", &voters.join(",")]),
            };
            let ran = java.output().expect("Java was there a moment ago");
            let complained = String::from_utf8_lossy(&ran.stderr);
            assert!(ran.status.success(), "node {id} cannot be formatted:\n{complained}");
        }
    }

    fn node_dir(&self, id: usize) -> PathBuf {
        self.dir.join(format!("node{id}"))
    }

    fn nodes(&self) -> MutexGuard<'_, Vec<Option<Node>>> {
        // A test that failed leaves the brokers as they are.
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn with<T>(&self, id: usize, act: impl FnOnce(&mut Node) -> T) -> T {
        let mut nodes = self.nodes();
        let node = slot(&mut nodes, id).as_mut();
        act(node.unwrap_or_else(|| panic!("node {id} was killed or stopped")))
    }

    fn take(&self, id: usize) -> Node {
        let node = slot(&mut self.nodes(), id).take();
        node.unwrap_or_else(|| panic!("node {id} was killed or stopped already"))
    }
}

fn slot(nodes: &mut [Option<Node>], id: usize) -> &mut Option<Node> {
    nodes.get_mut(id - 1).unwrap_or_else(|| panic!("there is no node {id}"))
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in self.nodes().drain(..).flatten() {
            node.remove();
        }
        // What is left of nodes that were killed before.
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn free_ports(nodes: usize) -> Vec<Ports> {
    let (chance, mut tried) = (RandomState::new(), 0_u64);
    let mut taken: Vec<u16> = Vec::new();
    let mut free = || {
        loop {
            tried += 1;
            let range = u64::from(PORTS.end - PORTS.start);
            let offset = u16::try_from(chance.hash_one(tried) % range).expect("it is below 12,000");
            let port = PORTS.start + offset;
            if !taken.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
                taken.push(port);
                return port;
            }
        }
    };
    (0..nodes).map(|_| Ports { client: free(), internal: free(), controller: free() }).collect()
}

/// Kafka's way to write 16 random bytes: base64 for addresses of the web, without an end.
fn uuid() -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let chance = RandomState::new();
    let digit = |at: u32| {
        // 16 bytes fill 21 digits and two bits of a last one. A leading `-` would be taken for an option.
        let bits = match at {
            0 => chance.hash_one(at) % 62,
            21 => (chance.hash_one(at) % 4) << 4,
            _ => chance.hash_one(at) % 64,
        };
        usize::try_from(bits).ok().and_then(|bits| DIGITS.get(bits)).copied()
    };
    (0..22).filter_map(digit).map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_16_bytes_that_kafka_reads_and_differ() {
        let (a, b) = (uuid(), uuid());
        assert_eq!((a.len(), b.len()), (22, 22));
        assert_ne!(a, b);
        assert!(!a.starts_with('-'), "{a}");
        assert!("AQgw".contains(a.chars().last().unwrap()), "{a} has more than 16 bytes");
    }

    #[test]
    fn ports_differ_and_are_free() {
        let ports = free_ports(3);
        let all: Vec<_> = ports.iter().flat_map(|p| [p.client, p.internal, p.controller]).collect();
        assert_eq!(all.iter().collect::<std::collections::HashSet<_>>().len(), 9);
        assert!(all.iter().all(|port| PORTS.contains(port)));
    }
}
