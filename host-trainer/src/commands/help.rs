//! The program's help: its commands by what a person wants to do.

use clap::Subcommand;
use clap::builder::Styles;

use super::Command;

/// The commands, in groups and in the order in which a person needs them.
const GROUPS: [(&str, &[&str]); 4] = [
    (
        "Pictures become a model",
        &[
            "demo",
            "data",
            "train",
            "predict",
            "eval",
            "parity",
            "quantize",
            "cv",
            "learning-curve",
            "search",
            "compare",
        ],
    ),
    ("A model that is there", &["import", "export", "inspect", "twin", "run", "bench"]),
    (
        "The board",
        &[
            "estimate", "ports", "flash", "rollback", "watch", "collect", "pictures", "studio", "certify", "keygen",
            "sign",
        ],
    ),
    ("This program", &["config", "completions", "man", "dev"]),
];

/// The help's template; commands that this build lacks are left out.
pub(super) fn template() -> String {
    let commands = Command::augment_subcommands(clap::Command::new("host-trainer"));
    let width = commands.get_subcommands().map(|command| command.get_name().len()).max().unwrap_or_default();
    let (styles, mut text) = (Styles::styled(), String::from("{about-with-newline}\n{usage-heading} {usage}\n"));
    let (header, literal) = (styles.get_header(), styles.get_literal());
    for (title, names) in GROUPS {
        text += &format!("\n{header}{title}:{header:#}\n");
        for command in names.iter().filter_map(|name| commands.find_subcommand(name)) {
            let (name, about) = (command.get_name(), command.get_about().map(ToString::to_string).unwrap_or_default());
            text += &format!("  {literal}{name:width$}{literal:#}  {about}\n");
        }
    }
    text + &format!("\n{header}Options:{header:#}\n{{options}}{{after-help}}")
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::commands::Cli;

    #[test]
    fn every_command_stands_in_one_group() {
        let help = Cli::command().render_help().to_string();
        assert!(help.contains("\nOptions:\n  -v, --verbose"), "{help}");
        for command in Cli::command().get_subcommands() {
            let groups = GROUPS.iter().filter(|(_, names)| names.contains(&command.get_name())).count();
            assert_eq!(groups, 1, "{} stands in {groups} groups", command.get_name());
            let about = command.get_about().expect("a text").to_string();
            let lines = help.lines().filter(|line| line.ends_with(&format!("  {about}"))).count();
            assert_eq!(lines, 1, "{} is explained {lines} times in\n{help}", command.get_name());
        }
    }

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
