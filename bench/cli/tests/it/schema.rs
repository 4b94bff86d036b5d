//! Documents that the program writes, held against the schemas that it prints.

use serde_json::Value;

use crate::program::Program;

#[path = "../../../../reports/tests/it/schema/walk.rs"]
mod walk;

/// The document satisfies `quorumark schema NAME`.
pub(crate) fn satisfies(document: &Value, name: &str) {
    let schema = Program::new().run(&["schema", name]).done().stdout;
    assert_eq!(walk::differences(document, &schema), [""; 0], "{name}: {document:#}");
}

#[test]
fn a_document_that_has_no_schema_is_refused_with_those_that_have() {
    let ended = Program::new().run(&["schema", "recrod"]);
    assert_eq!(ended.code, Some(2), "{ended:?}");
    assert!(ended.stderr.contains("record"), "{ended:?}");
}
