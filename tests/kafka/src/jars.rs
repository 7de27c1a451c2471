//! The jars of Kafka, fetched once by Maven and kept beside the build.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

/// Where everything of ours is that is no source: jars, and the data of clusters that run.
pub(crate) fn place() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/kafka")
}

/// What Java takes as its class path. Fetches the jars if that was not done yet.
///
/// # Panics
///
/// With the command to type, if Java 17 or Maven is missing.
pub(crate) fn class_path() -> String {
    need_java();
    let (libs, done) = (place().join("libs"), place().join("libs.complete"));
    let pom = Path::new(env!("CARGO_MANIFEST_DIR")).join("pom.xml");
    fs::create_dir_all(place()).expect("target/kafka can be made");
    // Several test programs may begin at once.
    let lock = File::create(place().join("libs.lock")).expect("target/kafka can be written");
    lock.lock().expect("a file can be locked");
    let wanted = fs::read(&pom).expect("pom.xml is beside this crate");
    if fs::read(&done).ok().as_ref() != Some(&wanted) {
        fetch(&pom, &libs);
        fs::write(&done, wanted).expect("target/kafka can be written");
    }
    let jars = fs::read_dir(&libs).expect("Maven made the directory");
    let mut jars: Vec<_> = jars.map(|jar| jar.expect("it can be listed").path()).collect();
    jars.sort();
    let jars: Vec<_> = jars.iter().map(|jar| jar.display().to_string()).collect();
    jars.join(":")
}

fn fetch(pom: &Path, libs: &Path) {
    let _ = fs::remove_dir_all(libs);
    let ran = Command::new("mvn")
        .args(["-B", "-ntp", "-q", "-C", "-f"])
        .arg(pom)
        .arg("dependency:copy-dependencies")
        .arg("-DincludeScope=runtime")
        .arg(format!("-DoutputDirectory={}", libs.display()))
        .output()
        .expect("Maven is missing; type: apt-get install --no-install-recommends maven");
    let (said, complained) =
        (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "Maven could not fetch Kafka's jars:\n{said}{complained}");
}

fn need_java() {
    const INSTALL: &str = "Java is missing; type: apt-get install openjdk-17-jre-headless";
    let said = Command::new("java").arg("-version").output().expect(INSTALL);
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    // The first line is, for example, `openjdk version "17.0.15" 2025-04-15`.
    let version = said.split('"').nth(1).and_then(|version| version.split('.').next());
    let version: u32 = version.and_then(|major| major.parse().ok()).expect(INSTALL);
    assert!(version >= 17, "Kafka needs Java 17 and this is {version}; {INSTALL}");
}
