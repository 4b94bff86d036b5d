//! Texts by number: a search that compares values compares integers.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::TEXT_BYTES_MAX;
use super::error::CallError;

/// Every different text once.
#[derive(Debug, Clone, Default)]
pub(super) struct Names {
    numbers: BTreeMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
    /// All texts together.
    bytes: usize,
}

impl Names {
    /// The number of `text`, a new one if it is new.
    pub(super) fn intern(&mut self, text: &str) -> Result<u32, CallError> {
        if let Some(&number) = self.numbers.get(text) {
            return Ok(number);
        }
        let bytes = self.bytes.saturating_add(text.len());
        let number = u32::try_from(self.texts.len()).map_err(|_| CallError::TooMuchText)?;
        if bytes > TEXT_BYTES_MAX {
            return Err(CallError::TooMuchText);
        }
        let text: Arc<str> = Arc::from(text);
        self.texts.push(Arc::clone(&text));
        let before = self.numbers.insert(text, number);
        assert!(before.is_none(), "a new text had no number");
        self.bytes = bytes;
        Ok(number)
    }

    /// The text that has this number.
    pub(super) fn text(&self, number: u32) -> &str {
        let text = self.texts.get(number as usize);
        text.expect("keys and values are used with the history that made them")
    }
}
