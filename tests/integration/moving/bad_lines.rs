//! Lines that cannot be imported: the error names the line, and what the lines before say is stored.

use super::*;

/// The lines `bad` behind two good ones, which are stored.
async fn refused(bad: &str) -> ImportError {
    let dir = temp_dir();
    let store = open(&dir).await;
    let good = r#"{"eventfold":1,"type":"ledger","id":"a","version":1,"event":"Added","event_id":"g-1","ms":1,"data":{"amount":5}}
{"eventfold":1,"event":"Noted","event_id":"g-2","ms":1,"data":null}
"#;
    let error = import(&store, &format!("{good}{bad}")).await.unwrap_err();
    let left = exported(&store, ExportForm::EventLines).await;
    assert_eq!(left.lines().count(), 2, "{bad}: {left}");
    error
}

/// Lines, and a part of what is said of each.
const BAD: &[(&str, &str)] = &[
    ("nonsense", "expected"),
    ("{", "EOF"),
    ("[]", "expected struct"),
    ("{}", "`eventfold` is missing"),
    (r#"{"eventfold":1}"#, "missing field `event`"),
    (
        r#"{"eventfold":1,"event":"A","event_id":"e","ms":1}"#,
        "missing field `data`",
    ),
    (
        r#"{"eventfold":1,"event":"A","event_id":"e","data":1}"#,
        "missing field `ms`",
    ),
    (
        r#"{"eventfold":1,"event":"A","event_id":"e","ms":1,"data":1"#,
        "EOF",
    ),
    (
        r#"{"eventfold":1,"event":"A","event_id":"e","ms":1,"data":1}}"#,
        "trailing",
    ),
    (
        r#"{"eventfold":1,"event":"A","event_id":"e","ms":1,"data":1,"vers":1}"#,
        "unknown field `vers`",
    ),
    (
        r#"{"eventfold":1,"event":"A","event_id":"e","ms":1,"data":1,"data":2}"#,
        "duplicate field",
    ),
    (
        r#"{"eventfold":2,"event":"A","event_id":"e","ms":1,"data":1}"#,
        "a newer one wrote the line",
    ),
    (
        r#"{"eventfold":"1","event":"A","event_id":"e","ms":1,"data":1}"#,
        "`eventfold` is \"1\"",
    ),
    (
        r#"{"eventfold":1,"specversion":"1.0"}"#,
        "has both `eventfold` and `specversion`",
    ),
    (
        r#"{"eventfold":1,"event":"","event_id":"e","ms":1,"data":1}"#,
        "has no name",
    ),
    (
        r#"{"eventfold":1,"event":"A","ms":1,"data":1}"#,
        "neither an id nor a version",
    ),
    (
        r#"{"eventfold":1,"type":"ledger","id":"b","event":"A","ms":1,"data":1}"#,
        "neither an id nor a version",
    ),
    (
        r#"{"eventfold":1,"type":"ledger","event":"A","event_id":"e","ms":1,"data":1}"#,
        "`id` is missing",
    ),
    (
        r#"{"eventfold":1,"id":"b","event":"A","event_id":"e","ms":1,"data":1}"#,
        "`type` is missing",
    ),
    (
        r#"{"eventfold":1,"type":"","id":"b","event":"A","event_id":"e","ms":1,"data":1}"#,
        "is empty",
    ),
    (
        r#"{"eventfold":1,"version":1,"event":"A","event_id":"e","ms":1,"data":1}"#,
        "of no stream has no version",
    ),
    (
        r#"{"eventfold":1,"event":"A","event_id":"e","ms":-1,"data":1}"#,
        "invalid value",
    ),
    (
        r#"{"eventfold":1,"event":"A","event_id":"e","ms":1,"data":1,"tags":[""]}"#,
        "the tag `` is empty",
    ),
    (
        r#"{"eventfold":1,"event":"A","event_id":"e","ms":1,"data":1,"tags":["a\u0001"]}"#,
        "control character",
    ),
    (
        r#"{"eventfold":1,"event":"A","event_id":"e","ms":1,"data":1,"meta":[]}"#,
        "is not a JSON object",
    ),
    (
        r#"{"eventfold":1,"event":"A","event_id":"e","ms":1,"data":1,"command":"c"}"#,
        "no idempotency key",
    ),
    (
        r#"{"eventfold":1,"event":"A","event_id":"e","ms":1,"data":1,"commit":[0,2]}"#,
        "an event 0 of 2",
    ),
    (
        r#"{"eventfold":1,"event":"A","event_id":"e","ms":1,"data":1,"commit":[1,0]}"#,
        "an event 1 of 0",
    ),
    (
        r#"{"eventfold":1,"event":"A","event_id":"e","ms":1,"data":1,"commit":[2,2]}"#,
        "whose beginning is missing",
    ),
    (r#"{"specversion":"0.3"}"#, "`specversion` is \"0.3\""),
    (
        r#"{"specversion":"1.0","id":"e","source":"/","type":"A","data":1}"#,
        "missing field `time`",
    ),
    (
        r#"{"specversion":"1.0","id":"e","source":"/","type":"A","time":"now","data":1}"#,
        "RFC 3339",
    ),
    (
        r#"{"specversion":"1.0","id":"e","source":"/x","type":"A","time":"2026-01-01T00:00:00Z","data":1}"#,
        "would be lost: write `/`",
    ),
    (
        r#"{"specversion":"1.0","id":"e","source":"/","type":"A","time":"2026-01-01T00:00:00Z","data_base64":"AA"}"#,
        "unknown field `data_base64`",
    ),
    (
        r#"{"specversion":"1.0","id":"e","source":"/","type":"A","time":"2026-01-01T00:00:00Z","datacontenttype":"text/xml","data":"<a>"}"#,
        "only payloads in JSON",
    ),
    (
        r#"{"specversion":"1.0","id":"e","source":"/","subject":"b","type":"A","time":"2026-01-01T00:00:00Z","data":1}"#,
        "`aggregatetype` is missing",
    ),
    (
        r#"{"specversion":"1.0","id":"e","source":"/","type":"A","time":"2026-01-01T00:00:00Z","position":"first","data":1}"#,
        "`position` is not the text of a whole number",
    ),
    (
        r#"{"specversion":"1.0","id":"e","source":"/","type":"A","time":"2026-01-01T00:00:00Z","commitindex":1,"data":1}"#,
        "go together",
    ),
    (
        r#"{"specversion":"1.0","id":"e","source":"/","type":"A","time":"2026-01-01T00:00:00Z","tags":"a:1","data":1}"#,
        "`tags` is not the text of a JSON array",
    ),
    (
        r#"{"specversion":"1.0","id":"e","source":"/","type":"A","time":"2026-01-01T00:00:00Z","meta":"{","data":1}"#,
        "`meta` is not the text of JSON",
    ),
];

#[tokio::test]
async fn a_line_that_is_no_event_is_refused_with_its_number_and_what_is_wrong() {
    for (bad, what) in BAD {
        let error = refused(bad).await;
        assert!(
            matches!(error, ImportError::Line { line: 3, .. }),
            "{bad}: {error:?}"
        );
        let error = std::io::Error::from(error);
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        let text = error.to_string();
        assert!(
            text.starts_with("line 3: ") && text.contains(what),
            "{bad}: {text}"
        );
    }
}

#[tokio::test]
async fn a_commit_that_is_cut_off_is_refused_whole() {
    let event = |id: &str, commit: &str| {
        format!(r#"{{"eventfold":1,"event":"A","event_id":"{id}","ms":1,"data":1{commit}}}"#)
    };
    let first = event("e-1", r#","commit":[1,3]"#);
    let second = event("e-2", r#","commit":[2,3]"#);
    for (lines, line, what) in [
        (vec![&first], 4, "event 2 is missing"),
        (vec![&first, &second], 5, "event 3 is missing"),
        (
            vec![&first, &event("e-9", "")],
            4,
            "event 2 of 3 of the commit that begins in line 3 is missing",
        ),
        (
            vec![&first, &first],
            4,
            "event 2 of 3 of the commit that begins in line 3 is missing",
        ),
        (
            vec![&first, &second, &event("e-3", r#","commit":[3,4]"#)],
            5,
            "event 3 of 3",
        ),
    ] {
        let lines: Vec<&str> = lines.into_iter().map(String::as_str).collect();
        let error = refused(&lines.join("\n")).await.to_string();
        let start = format!("line {line}: ");
        assert!(error.starts_with(&start) && error.contains(what), "{error}");
    }
}

#[tokio::test]
async fn a_version_that_does_not_fit_is_refused_with_the_stream_both_versions_and_the_line() {
    for (version, actual) in [(0, 1), (1, 1), (3, 1), (u64::MAX, 1)] {
        let bad = format!(
            r#"{{"eventfold":1,"type":"ledger","id":"a","version":{version},"event":"Added","event_id":"e","ms":1,"data":1}}"#
        );
        let error = refused(&bad).await;
        let ImportError::Version {
            line,
            ref stream,
            stated,
            actual: found,
        } = error
        else {
            panic!("{error:?}");
        };
        assert_eq!(
            (line, stream.id(), u64::from(stated), u64::from(found)),
            (3, "a", version, actual)
        );
        let text = format!(
            "line 3: this is version {version} of stream ledger/a, which is at version 1 in this store"
        );
        assert_eq!(error.to_string(), text);
        assert_eq!(
            std::io::Error::from(error).kind(),
            std::io::ErrorKind::InvalidInput
        );
    }
}

#[tokio::test]
async fn bytes_that_are_no_text_and_empty_lines_are_told_apart() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let error = store
        .import(Cursor::new(b"\n\r\n \n\xff\n".to_vec()))
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("line 4: is not text in UTF-8"),
        "{error}"
    );
    let report = import(&store, "\n\r\n").await.unwrap();
    assert_eq!((report.events, report.skipped), (0, 0));
}

#[tokio::test]
async fn an_event_without_an_id_is_known_by_its_stream_and_version_if_it_is_the_same() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let line = |amount: u64| {
        format!(
            r#"{{"eventfold":1,"type":"ledger","id":"a","version":1,"event":"Added","ms":1,"data":{{"amount":{amount}}}}}"#
        )
    };
    import(&store, &line(1)).await.unwrap();
    let again = import(&store, &line(1)).await.unwrap();
    assert_eq!((again.events, again.skipped), (0, 1));
    let error = import(&store, &line(2)).await.unwrap_err();
    assert!(matches!(error, ImportError::Version { .. }), "{error:?}");
    for form in FORMS {
        let to = temp_dir();
        let other = open(&to).await;
        let lines = exported(&store, form).await;
        import(&other, &lines).await.unwrap();
        assert_eq!(exported(&other, form).await, lines);
    }
}
