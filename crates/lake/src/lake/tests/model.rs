//! Random lives of a lake: whatever was appended, stored, flushed, dropped and reopened, each search finds what a
//! comparison of every event finds.

use proptest::prelude::*;
use wanglou_model::{Value, canonical_ip};

use super::*;
use crate::columns::{self, Kind};
use crate::hit::tests::any_stored;

#[derive(Clone, Debug)]
enum Step {
    /// Events that arrive in one batch; stored at once, or never by this process.
    Arrive {
        events: Vec<StoredEvent>,
        store: bool,
    },
    Flush,
    Reopen {
        close: bool,
    },
    Search {
        pick: prop::sample::Index,
        attribute: prop::sample::Index,
        limit: usize,
        newest_first: bool,
    },
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (prop::collection::vec(any_stored(), 0..12), prop::bool::weighted(0.8))
            .prop_map(|(events, store)| Step::Arrive { events, store }),
        1 => Just(Step::Flush),
        1 => any::<bool>().prop_map(|close| Step::Reopen { close }),
        4 => (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 1_usize..6, any::<bool>())
            .prop_map(|(pick, attribute, limit, newest_first)| Step::Search { pick, attribute, limit, newest_first }),
    ]
}

/// The events of a batch, by the number in its only frame.
struct Truth {
    batches: Vec<Vec<StoredEvent>>,
    stored: Vec<bool>,
}

impl Truth {
    fn events(&self) -> Vec<&StoredEvent> {
        let stored = self.batches.iter().zip(&self.stored).filter(|(_, stored)| **stored);
        stored.flat_map(|(events, _)| events).collect()
    }

    async fn recover(&mut self, lake: &Lake) {
        for replayed in lake.replay() {
            let (at, batch) = replayed.unwrap();
            let number: usize = std::str::from_utf8(&batch.frames[0]).unwrap().parse().unwrap();
            lake.store(at, self.batches[number].clone()).await.unwrap();
            self.stored[number] = true;
        }
        assert!(self.stored.iter().all(|stored| *stored), "an acknowledged batch is gone");
    }
}

/// Whether an event has the value at the path, by the words of [`Query::equals`].
fn matches(stored: &StoredEvent, path: &str, value: &str) -> bool {
    let equal = |found: Value<'_>| match columns::promoted_at(path).map(|attribute| attribute.kind) {
        _ if found == Value::Null => false,
        Some(Kind::Int) => found.as_i64().is_some() && found.as_i64() == value.trim().parse().ok(),
        Some(Kind::Address { .. }) => {
            let canonical = |text: &str| canonical_ip(text).unwrap_or_else(|| text.to_owned());
            canonical(&found.to_text()) == canonical(value)
        }
        _ if path.ends_with("hashes.value") => {
            found.as_str().is_some_and(|text| text.eq_ignore_ascii_case(value))
        }
        _ => found.to_text() == value,
    };
    stored.event.attributes.iter().any(|(name, found)| name.name().replace("[]", "") == path && equal(found))
}

async fn check(
    lake: &Lake,
    truth: &Truth,
    condition: Option<(String, String)>,
    limit: usize,
    newest_first: bool,
) {
    let mut expected: Vec<&StoredEvent> = truth.events();
    expected.retain(|stored| stored.event.time.nanos() < i64::MAX);
    let mut query = Query { limit, newest_first, ..all() };
    if let Some((path, value)) = &condition {
        expected.retain(|stored| matches(stored, path, value));
        query = query.with(path, value);
    }
    expected.sort_by_key(|stored| (stored.event.time, stored.event.uid));
    if newest_first {
        expected.reverse();
    }
    let mut found = Vec::new();
    loop {
        let page = match lake.search(&query).await {
            Ok(page) => page,
            // A number that is none, or a name that is made of others, is refused; that is tested elsewhere.
            Err(LakeError::BadQuery(_)) => return,
            Err(error) => panic!("{error:?}"),
        };
        assert!(page.hits.len() <= limit);
        found.extend(page.hits.into_iter().map(|hit| hit.json));
        query.cursor = page.next;
        if query.cursor.is_none() || found.len() > 30 {
            break;
        }
    }
    expected.truncate(found.len().max(30));
    let expected: Vec<_> = expected.into_iter().map(json_of).collect();
    assert_eq!(found, expected, "{condition:?}");
}

async fn live(steps: Vec<Step>) {
    let dir = tempfile::tempdir().unwrap();
    let config = LakeConfig { segment_bytes: 300, merge_files: 2, ..config(dir.path()) };
    let mut lake = Lake::open(config.clone()).await.unwrap();
    let mut truth = Truth { batches: Vec::new(), stored: Vec::new() };
    for step in steps {
        match step {
            Step::Arrive { events, store } => {
                let number = truth.batches.len();
                let mut batch = batch(&format!("batch {number}"), 0);
                batch.frames.push(number.to_string().into());
                let Appended::At(at) = lake.append(batch).await.unwrap() else { panic!("not new") };
                if store {
                    lake.store(at, events.clone()).await.unwrap();
                }
                truth.batches.push(events);
                truth.stored.push(store);
            }
            Step::Flush => lake.flush().await.unwrap(),
            Step::Reopen { close } => {
                if close {
                    lake.close().await.unwrap();
                }
                drop(lake);
                lake = reopen(&config).await;
                truth.recover(&lake).await;
            }
            Step::Search { pick, attribute, limit, newest_first } => {
                let events = truth.events();
                let condition = events.get(pick.index(events.len() + 1)).and_then(|stored| {
                    let fields: Vec<_> = stored.event.attributes.iter().collect();
                    let (path, value) = fields.get(attribute.index(fields.len() + 1))?;
                    Some((path.name().replace("[]", ""), value.to_text().into_owned()))
                });
                check(&lake, &truth, condition, limit, newest_first).await;
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, max_shrink_iters: 60, ..ProptestConfig::default() })]
    #[test]
    fn any_life_of_a_lake_agrees_with_a_list_of_events(steps in prop::collection::vec(any_step(), 1..25)) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(live(steps));
    }
}
