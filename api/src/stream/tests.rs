//! What a subscriber is told, with a clock of our own.

use ledger::{Draft, Index, MemoryLog, Writer};
use projector::views::Filter;
use tokio::time::{advance, pause};

use super::*;

struct Recording {
    writer: Writer,
    publish: watch::Sender<Head>,
    hub: Arc<Hub>,
    stopping: CancellationToken,
}

impl Recording {
    fn new(entries: usize) -> Recording {
        let log = Arc::new(MemoryLog::default());
        let writer = Writer::open(log.clone(), Index::in_memory()).unwrap();
        let (publish, heads) = watch::channel(writer.head());
        let stopping = CancellationToken::new();
        let metrics = Arc::new(Metrics::new("1", 0));
        let mut recording = Recording {
            hub: Hub::start(log, heads, stopping.clone(), 10, metrics),
            writer,
            publish,
            stopping,
        };
        recording.record(entries, 1);
        recording
    }

    fn record(&mut self, count: usize, size: usize) {
        let first = self.writer.head().next.0;
        for n in (first..).take(count) {
            let text = "x".repeat(size);
            let event = format!(
                r#"{{"data":{{"text":"{text}"}},"id":"{n}","source":"t","type":"rollout.note.added.v1"}}"#
            );
            let draft = Draft::new(event.into_bytes()).unwrap();
            self.writer.commit(vec![draft.into()], 1).unwrap();
        }
        self.publish.send_replace(self.writer.head());
    }

    fn subscribe(&self, next: u64) -> Subscriber {
        self.hub.subscribe(Wanted::default(), next).unwrap()
    }
}

async fn said(subscriber: &mut Subscriber) -> String {
    String::from_utf8(subscriber.next().await.unwrap().to_vec()).unwrap()
}

fn ids(text: &str) -> Vec<u64> {
    text.lines()
        .filter_map(|line| line.strip_prefix("id: "))
        .map(|id| id.parse().unwrap())
        .collect()
}

#[tokio::test]
async fn who_takes_too_long_is_told_where_to_go_on() {
    pause();
    let recording = Recording::new(3);
    let mut subscriber = recording.subscribe(0);
    assert_eq!(said(&mut subscriber).await, "retry: 3000\n\n");
    assert_eq!(ids(&said(&mut subscriber).await), [0, 1, 2]);
    advance(SLOW_MAX + Duration::from_millis(1)).await;
    let bye = "event: bye\ndata: {\"reason\":\"too_slow\",\"resume_after\":2}\n\n";
    assert_eq!(said(&mut subscriber).await, bye);
    assert!(subscriber.next().await.is_none());
}

#[tokio::test]
async fn silence_is_broken_in_time_and_a_filter_gets_its_place() {
    pause();
    let mut recording = Recording::new(3);
    let filter = Filter { actor: Some("nobody".to_owned()), ..Filter::default() };
    let wanted = Wanted { filter: Some(Box::new(filter)), ..Wanted::default() };
    let mut filtered = recording.hub.subscribe(wanted, 0).unwrap();
    let mut all = recording.subscribe(3);
    for subscriber in [&mut filtered, &mut all] {
        said(subscriber).await;
        let position = said(subscriber).await;
        assert!(position.starts_with("id: 2\nevent: position\ndata: "), "{position}");
    }
    // Both wait, as two connections do; one that is not asked would be slow.
    let begun = tokio::time::Instant::now();
    let (silent, other) = tokio::join!(said(&mut all), said(&mut filtered));
    assert_eq!([silent.as_str(), other.as_str()], [": still here\n\n"; 2]);
    let waited = begun.elapsed();
    assert!(waited >= HEARTBEAT && waited < HEARTBEAT + Duration::from_secs(1), "{waited:?}");
    recording.record(2, 1);
    let (news, position) = tokio::join!(said(&mut all), said(&mut filtered));
    assert_eq!(ids(&news), [3, 4]);
    assert!(position.starts_with("id: 4\nevent: position\ndata: "), "{position}");
}

#[tokio::test]
async fn pages_are_bounded_and_shared() {
    let mut recording = Recording::new(0);
    // Each alone is larger than a page may be with another one.
    recording.record(5, 200_000);
    let mut subscriber = recording.subscribe(0);
    said(&mut subscriber).await;
    for seq in 0..5 {
        assert_eq!(ids(&said(&mut subscriber).await), [seq]);
    }
    let one = recording.hub.page(3, 5).await.unwrap();
    let other = recording.hub.page(3, 5).await.unwrap();
    assert!(Arc::ptr_eq(&one, &other), "a page is rendered once for all");
    recording.stopping.cancel();
}
