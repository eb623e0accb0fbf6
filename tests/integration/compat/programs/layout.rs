//! Programs that look into the directories themselves.

use std::path::Path;

use super::es::StreamLayout;

#[test]
fn the_directories_are_where_0_2_had_them() {
    let layout = StreamLayout::new("data");
    let data = Path::new("data");
    assert_eq!(layout.base_dir(), data);
    let stream = data.join("streams").join("order").join("o-1");
    assert_eq!(layout.stream_dir("order", "o-1"), stream);
    assert_eq!(layout.views_dir("order", "o-1"), stream.join("views"));
    assert_eq!(layout.projections_dir(), data.join("projections"));
    assert_eq!(layout.process_managers_dir(), data.join("process_managers"));
    assert_eq!(layout.meta_dir(), data.join("meta"));
    // Text that is safe in a file name stays as it is.
    for id in ["a b", "Ålesund", "日本", "a.b", "x-_~!@#$^&()+={}[];',`"] {
        let dir = data.join("streams").join("order").join(id);
        assert_eq!(layout.stream_dir("order", id), dir);
    }
}

#[test]
fn a_stream_is_ensured_once_and_listed() {
    let dir = tempfile::tempdir().unwrap();
    let layout = StreamLayout::new(dir.path().join("not there yet"));
    assert_eq!(layout.list_streams("order").unwrap(), Vec::<String>::new());
    for id in ["b", "a", "b"] {
        let stream = layout.ensure_stream("order", id).unwrap();
        assert_eq!(stream, layout.stream_dir("order", id));
        assert!(stream.is_dir());
    }
    layout.clone().ensure_stream("invoice", "z").unwrap();
    assert_eq!(layout.list_streams("order").unwrap(), ["a", "b"]);
    assert_eq!(layout.list_streams("invoice").unwrap(), ["z"]);
    // Each is in the registry once.
    let registry = dir.path().join("not there yet/meta/streams.jsonl");
    let registry = std::fs::read_to_string(registry).unwrap();
    let entries = registry.lines().map(|line| {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(entry["ts"].as_u64().unwrap() > 1_700_000_000);
        (entry["type"].clone(), entry["id"].clone())
    });
    let expected = [("order", "b"), ("order", "a"), ("invoice", "z")];
    assert!(entries.eq(expected.map(|(kind, id)| (kind.into(), id.into()))));
    // Only directories are streams.
    std::fs::write(dir.path().join("not there yet/streams/order/file"), "").unwrap();
    assert_eq!(layout.list_streams("order").unwrap(), ["a", "b"]);
}
