//! Directories that were copied by other means while a store had them open.

use super::*;

/// Opens a copy and reads everything in it. `Err` says what was refused.
async fn read_all(base: &Path) -> Result<u64, String> {
    let store = scripted(base, &clock(), OnFailure::Stop)
        .projection::<Total>()
        .open()
        .await
        .map_err(|error| error.to_string())?;
    let mut refused = None;
    for (kind, id) in store.list_streams(None).await.map_err(|e| e.to_string())? {
        if let Err(error) = store.read_events(&kind, &id).await {
            refused = Some(error.to_string());
        }
    }
    let head = number(store.head());
    let closed = store.shutdown().await;
    match (refused, closed) {
        (Some(refused), _) => Err(refused),
        (None, Err(error)) => Err(error.to_string()),
        (None, Ok(())) => Ok(head),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_was_copied_while_it_was_written_is_whole_or_the_parts_that_differ_are_named()
 {
    let dir = temp_dir();
    let store = scripted(dir.path(), &clock(), OnFailure::Stop)
        .projection::<Total>()
        .live()
        .open()
        .await
        .unwrap();
    let written = store.clone();
    let clients = Clients::start(8, move |_, number| {
        let store = written.clone();
        async move {
            match number % 9 {
                0 => tell(&store, &format!("send g-{} {number}", number % 5)).await,
                _ => add(&store, &format!("l-{}", number % 30), [number]).await,
            }
        }
    });
    let mut copies = Vec::new();
    for _ in 0..12 {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let before = number(store.head());
        copies.push((before, moved(dir.path())));
    }
    clients.end().await;
    run(&store).await;
    store.shutdown().await.unwrap();
    drop(store);
    let (mut whole, mut named) = (0, 0);
    for (before, copy) in copies {
        let report = AggregateStore::verify(copy.path()).await.unwrap();
        match read_all(copy.path()).await {
            Ok(head) => {
                assert!(head >= before, "{head} of {before}\n{report}");
                assert_eq!(commits(copy.path(), u64::MAX), commits(dir.path(), head));
                whole += 1;
            }
            Err(refused) => {
                assert!(!report.is_clean(), "{refused}");
                for finding in &report.findings {
                    assert!(finding.file.starts_with(copy.path()), "{finding}");
                }
                named += 1;
            }
        }
    }
    println!("{whole} copies are whole, {named} are refused and named");
}
