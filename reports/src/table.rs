//! A table of text, rendered alike by the terminal, Markdown and HTML.

/// A table: titled columns and rows of as many cells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Table {
    /// Titles; numbers are set to the right.
    pub columns: Vec<Column>,
    /// Cells as plain text, not escaped for any format.
    pub rows: Vec<Vec<String>>,
}

/// One column of a [`Table`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The title.
    pub title: String,
    /// Whether the cells are numbers, set to the right and never cut.
    pub numeric: bool,
}

/// The fewest characters that a text column is cut to.
const CELL_WIDTH_MIN: usize = 8;

/// Blanks between two columns.
const GAP: usize = 2;

impl Table {
    /// An empty table with text columns first, numeric ones after them.
    pub fn new(text: &[&str], numeric: &[&str]) -> Table {
        let column = |numeric| move |title: &&str| Column { title: (*title).to_owned(), numeric };
        let columns = text.iter().map(column(false)).chain(numeric.iter().map(column(true)));
        Table { columns: columns.collect(), rows: Vec::new() }
    }

    /// Adds a row.
    ///
    /// # Panics
    /// When the row has not as many cells as the table has columns.
    pub fn push<C: Into<String>>(&mut self, cells: impl IntoIterator<Item = C>) {
        let cells: Vec<String> = cells.into_iter().map(Into::into).collect();
        assert_eq!(cells.len(), self.columns.len(), "a cell for each column");
        self.rows.push(cells);
    }

    /// Leaves out the columns in which `keep` of no cell is true.
    #[must_use]
    pub fn without_empty_columns(mut self, keep: impl Fn(&str) -> bool) -> Table {
        let used: Vec<bool> =
            (0..self.columns.len()).map(|c| self.rows.iter().any(|row| keep(&row[c]))).collect();
        let retain = |place: &mut usize| {
            *place += 1;
            used[*place - 1]
        };
        let mut place = 0;
        self.columns.retain(|_| retain(&mut place));
        for row in &mut self.rows {
            let mut place = 0;
            row.retain(|_| retain(&mut place));
        }
        self
    }

    /// The table as aligned text lines of at most `width` characters where its numbers allow it:
    /// text columns are cut, the widest first, and end in `…`; numbers never are.
    pub fn to_text(&self, width: usize) -> Vec<String> {
        let rows: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(|cell| plain(cell)).collect()).collect();
        let widths = self.fitted_widths(&rows, width);
        let titles: Vec<String> = self.columns.iter().map(|c| plain(&c.title)).collect();
        core::iter::once(&titles).chain(&rows).map(|row| self.line(row, &widths)).collect()
    }

    fn line(&self, cells: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for ((cell, column), &width) in cells.iter().zip(&self.columns).zip(widths) {
            let cell = cut(cell, width);
            if !line.is_empty() {
                line.push_str(&" ".repeat(GAP));
            }
            if column.numeric {
                line.push_str(&format!("{cell:>width$}"));
            } else {
                line.push_str(&format!("{cell:<width$}"));
            }
        }
        line.trim_end().to_owned()
    }

    /// Characters of its widest line, when cells of text take `text_max` at most.
    pub fn width(&self, text_max: usize) -> usize {
        let widths = self.widths(&self.rows);
        let columns = widths.into_iter().zip(&self.columns);
        let fitted = columns.map(|(width, c)| if c.numeric { width } else { width.min(text_max) });
        line_width(&fitted.collect::<Vec<_>>())
    }

    /// Characters of the widest cell of each column, its title included.
    fn widths(&self, rows: &[Vec<String>]) -> Vec<usize> {
        let columns = self.columns.iter().enumerate();
        let width = |(c, column): (usize, &Column)| {
            let cells = rows.iter().map(|row| row[c].chars().count());
            cells.max().unwrap_or(0).max(column.title.chars().count())
        };
        columns.map(width).collect()
    }

    fn fitted_widths(&self, rows: &[Vec<String>], width: usize) -> Vec<usize> {
        let mut widths = self.widths(rows);
        while line_width(&widths) > width {
            let cuttable = (0..widths.len())
                .filter(|&c| !self.columns[c].numeric && widths[c] > CELL_WIDTH_MIN)
                .max_by_key(|&c| widths[c]);
            match cuttable {
                Some(c) => widths[c] -= 1,
                None => break,
            }
        }
        widths
    }
}

fn line_width(widths: &[usize]) -> usize {
    widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1)
}

/// `text` on one line, without control characters: a name from a file cannot drive a terminal.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn cut(cell: &str, width: usize) -> String {
    if cell.chars().count() <= width {
        return cell.to_owned();
    }
    cell.chars().take(width.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["name"], &["value"]);
        table.push(["a rather long name of a metric", "1,000,000"]);
        table.push(["b", "2"]);
        table
    }

    #[test]
    fn text_is_set_to_the_left_and_numbers_to_the_right() {
        assert_eq!(
            table().to_text(100),
            [
                "name                                value",
                "a rather long name of a metric  1,000,000",
                "b                                       2",
            ]
        );
    }

    #[test]
    fn a_narrow_terminal_cuts_text_and_never_a_number() {
        let lines = table().to_text(25);
        assert!(lines.iter().all(|line| line.chars().count() <= 25), "{lines:?}");
        assert_eq!(lines[1], "a rather long…  1,000,000");
        assert!(table().to_text(3)[1].ends_with("  1,000,000"));
    }

    #[test]
    fn the_width_of_a_table_counts_numbers_whole_and_text_wrapped() {
        assert_eq!(table().width(usize::MAX), 30 + 2 + 9);
        assert_eq!(table().width(10), 10 + 2 + 9);
    }

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        let mut table = Table::new(&["name"], &[]);
        table.push(["\u{1b}[31mred\nline"]);
        assert_eq!(table.to_text(80)[1], " [31mred line");
    }

    #[test]
    fn columns_without_a_value_are_left_out() {
        let mut table = Table::new(&["a"], &["b", "c"]);
        table.push(["x", "-", "1"]);
        let table = table.without_empty_columns(|cell| cell != "-");
        assert_eq!(table.columns.iter().map(|c| &c.title).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(table.rows, [["x", "1"]]);
    }
}
