//! The blocks of commands in the guides, for those who run them and for those who parse them.

/// Each guide by its name.
pub(crate) const GUIDES: [(&str, &str); 4] = [
    ("README.md", include_str!("../../../../../README.md")),
    ("TUTORIAL.md", include_str!("../../../../TUTORIAL.md")),
    ("READING.md", include_str!("../../../../../reports/READING.md")),
    ("EXTENDING.md", include_str!("../../../../EXTENDING.md")),
];

/// One block of commands.
pub(crate) struct Block {
    pub(crate) text: &'static str,
}

impl Block {
    /// Whether it is a file of its own, and not commands to type.
    pub(crate) fn is_script(&self) -> bool {
        self.text.starts_with("#!")
    }

    /// Its commands, without what is said of them.
    pub(crate) fn commands(&self) -> Vec<String> {
        let lines = self.text.lines().map(|line| line.split(" #").next().unwrap_or(line).trim());
        lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
    }
}

/// The blocks of shell commands of a guide.
pub(crate) fn blocks(guide: &'static str) -> Vec<Block> {
    let blocks = guide.split("```sh\n").skip(1);
    blocks.filter_map(|rest| rest.split("```").next()).map(|text| Block { text }).collect()
}

/// The command of the indexed Job of a guide, if it has one.
pub(crate) fn kubernetes(guide: &'static str) -> Option<&'static str> {
    let block = guide.split("```yaml\n").nth(1)?.split("```").next()?;
    let items = block.lines().filter_map(|line| line.trim().strip_prefix("- "));
    items.into_iter().find(|item| item.starts_with("quorumark "))
}
