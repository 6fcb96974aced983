//! How much of a report is taken. Characters, unless the name says otherwise; longer text is cut, more of anything
//! refused or left out as its constant says.

/// Longest report. Longer ones are refused; whoever takes them in may refuse more.
pub const REPORT_BYTES_MAX: u64 = 1 << 30;
/// Longest report that is read whole. Longer ones have to be of a format that is read as it comes.
pub const WHOLE_BYTES_MAX: usize = if cfg!(test) { 512 << 10 } else { 32 << 20 };
/// Longest entry of a report that is read as it comes: a result, the description of a tool with its rules.
pub const ENTRY_BYTES_MAX: u64 = if cfg!(test) { 512 << 10 } else { 32 << 20 };
/// Deepest nesting. Deeper ones are refused.
pub const DEPTH_MAX: usize = 128;
/// Deepest nesting of components in components. Deeper ones are not found, and not counted.
pub const COMPONENT_DEPTH_MAX: usize = 16;
/// Most vulnerabilities in one report. More are refused: leaving some out would look as if they were gone.
pub const OBSERVATIONS_MAX: usize = if cfg!(test) { 2_000 } else { 500_000 };
/// Most components that are listed. Further ones are counted.
pub const INVENTORY_MAX: usize = 200_000;
/// A tool's name.
pub const TOOL_MAX: usize = 64;
/// One line for people.
pub const TITLE_MAX: usize = 300;
/// Text for people.
pub const DESCRIPTION_MAX: usize = 2_000;
/// Text that a description or a fingerprint is made of.
pub const MESSAGE_MAX: usize = 4 * DESCRIPTION_MAX;
/// An id, a version, a vector.
pub const NAME_MAX: usize = 256;
/// A path, a package URL, a resource's address.
pub const PATH_MAX: usize = 1_024;
/// A link. Longer ones are left out: half a link leads nowhere.
pub const URL_MAX: usize = 2_048;
/// Aliases, CWEs, fixed versions: each list. Further entries are left out.
pub const LIST_MAX: usize = 64;
