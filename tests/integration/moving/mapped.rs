//! Events that are changed on their way.

use eventfold_es::{StreamId, Tag};

use super::*;

#[tokio::test]
async fn streams_are_renamed_fields_removed_and_events_dropped_on_the_way() {
    let (_dir, _store, lines) = filled().await;
    let to = temp_dir();
    let other = open(&to).await;
    let import = other.import(Cursor::new(lines.clone())).map(|mut event| {
        if event.name == "Written" {
            return Ok(None);
        }
        if let Some(stream) = &event.stream {
            let id = format!("new-{}", stream.id());
            event.stream = Some(StreamId::new("ledger", &id)?);
            event.version = None;
        }
        if event.name == "Added" {
            let payload: Value = event.payload()?;
            let amount = payload["data"]["amount"]
                .as_u64()
                .or(payload["amount"].as_u64());
            let amount = amount.ok_or("no amount")? * 2;
            let changed = event
                .data()
                .replace(&(amount / 2).to_string(), &amount.to_string());
            event.set_payload(&serde_json::from_str::<Value>(&changed)?)?;
        }
        if let Some(meta) = event.meta() {
            let mut meta: serde_json::Map<String, Value> = serde_json::from_str(meta)?;
            meta.remove("ip");
            event.set_metadata(&meta)?;
        }
        event.tags.insert(Tag::new("moved", "yes")?);
        Ok(Some(event))
    });
    let report = import.await.unwrap();
    assert_eq!((report.dropped, report.positions_kept), (3, false));
    assert_eq!(state(&other, "a").await, Ledger::default());
    assert_eq!(
        state(&other, "new-a").await,
        Ledger::of([2, 4, 6, 14, 16, 20])
    );
    let moved = exported(&other, ExportForm::EventLines).await;
    assert!(!moved.contains("::1") && moved.contains("correlation_id"));
    let found = other.query(eventfold_es::QueryItem::tagged(
        "moved:yes".parse().unwrap(),
    ));
    assert_eq!(
        found.read().await.unwrap().events.len() as u64,
        report.events
    );

    // Done again, nothing is new.
    let again = other
        .import(Cursor::new(lines))
        .map(|event| Ok(Some(event).filter(|event| event.name != "Written")));
    let report = again.await.unwrap();
    assert_eq!((report.events, report.dropped), (0, 3));
    assert_eq!(exported(&other, ExportForm::EventLines).await, moved);
}

#[tokio::test]
async fn a_dropped_event_leaves_a_gap_in_the_versions_which_is_not_closed_silently() {
    let dir = temp_dir();
    let store = open(&dir).await;
    add(&store, "a", [1, 2, 3]).await;
    let lines = exported(&store, ExportForm::EventLines).await;
    let to = temp_dir();
    let other = open(&to).await;
    let drop_second = other
        .import(Cursor::new(lines))
        .map(|event| Ok(Some(event).filter(|event| event.version != Some(2.into()))));
    let error = drop_second.await.unwrap_err();
    let text = "line 3: this is version 3 of stream ledger/a, which is at version 1 in this store";
    assert_eq!(error.to_string(), text);
    assert_eq!(state(&other, "a").await, Ledger::of([1]));
}

#[tokio::test]
async fn an_error_of_the_map_ends_the_import_with_the_line_and_the_commits_before_are_stored() {
    let (_dir, _store, lines) = filled().await;
    let to = temp_dir();
    let other = open(&to).await;
    let mut events = 0;
    let failing = other.import(Cursor::new(lines.clone())).map(move |event| {
        events += 1;
        // Within the second commit of three events.
        if events == 6 {
            return Err("not this one".into());
        }
        Ok(Some(event))
    });
    let error = failing.await.unwrap_err();
    assert_eq!(error.to_string(), "line 6: not this one");
    assert!(matches!(error, ImportError::Map { line: 6, .. }));
    let left = exported(&other, ExportForm::EventLines).await;
    assert_eq!(left.lines().count(), 4);
    import(&other, &lines).await.unwrap();
    assert_eq!(exported(&other, ExportForm::EventLines).await, lines);
}

#[tokio::test]
async fn an_event_that_the_map_makes_invalid_is_refused_with_its_line() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let line = r#"{"eventfold":1,"event":"A","event_id":"e","ms":1,"data":1}"#;
    let deep: Value = (0..126).fold(json!(1), |value, _| json!([value]));
    for (how, text) in [
        ("name", "the event has no name"),
        ("id", "neither an id nor a version"),
        ("meta", "the metadata is not a JSON object"),
        ("deep", "is nested too deeply"),
        ("break", "has a line break"),
    ] {
        let deep = deep.clone();
        let import = store.import(Cursor::new(line)).map(move |mut event| {
            match how {
                "name" => event.name.clear(),
                "id" => event.event_id = None,
                "meta" => event.set_metadata(&1)?,
                "deep" => event.set_payload(std::slice::from_ref(&deep))?,
                _ => event.set_payload(&serde_json::from_str::<Box<RawValue>>("[\n]")?)?,
            }
            Ok(Some(event))
        });
        let error = import.await.unwrap_err().to_string();
        assert!(
            error.starts_with("line 1: ") && error.contains(text),
            "{how}: {error}"
        );
    }
    assert_eq!(store.head(), Position::default());
}
