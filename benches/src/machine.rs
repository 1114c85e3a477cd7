//! Which machine it was.

use std::fs;
use std::path::Path;
use std::process::Command;

use pilot_webhook_benches::Result;

/// A sentence: processor, system, versions, the daemon's size.
pub(crate) fn describe(daemon: &Path) -> Result<String> {
    let processor = fs::read_to_string("/proc/cpuinfo")?;
    let field = |name: &str| {
        let line = processor.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let model = field("model name").unwrap_or_else(|| "unknown".to_owned());
    let cores = std::thread::available_parallelism()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let is_virtual = field("flags").is_some_and(|flags| flags.contains("hypervisor"));
    let kind = if is_virtual { ", a virtual machine" } else { "" };
    let load = fs::read_to_string("/proc/loadavg")?;
    let load = load.split(' ').next().unwrap_or_default();
    Ok(format!(
        "Measured on {cores} cores of {model}{kind}, Linux {}, load {load} at the end; {}; {}; {}. \
         The daemon's binary has {} bytes.",
        kernel.trim(),
        version("rustc", "-V"),
        version("/usr/sbin/nginx", "-v").trim_start_matches("nginx version: "),
        version("wrk", "-v"),
        crate::summary::thousands(size(daemon)?),
    ))
}

#[allow(clippy::cast_precision_loss, reason = "some megabytes")]
fn size(file: &Path) -> Result<f64> {
    Ok(fs::metadata(file)?.len() as f64)
}

/// The first line of what a tool says of itself, without who wrote it.
fn version(tool: &str, option: &str) -> String {
    let Ok(output) = Command::new(tool).arg(option).output() else { return tool.to_owned() };
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().next().unwrap_or(tool);
    line.split_once(" [").map_or(line, |(name, _)| name).to_owned()
}
