//! A synchronous standby of a server.

use crate::server::{Server, command, directory};

impl Server {
    /// Starts a standby, and lets this server wait for it before it answers.
    pub(crate) fn standby(&self) -> Self {
        let dir = directory();
        let copied = command(&self.bin.join("pg_basebackup"))
            .args([
                "--username=postgres",
                "--checkpoint=fast",
                "--write-recovery-conf",
            ])
            .arg("--host")
            .arg(self.dir.path().join("socket"))
            .arg("--pgdata")
            .arg(dir.path().join("data"))
            .current_dir(dir.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&copied.stderr);
        assert!(copied.status.success(), "{text}");
        let mut standby = Self {
            bin: self.bin.clone(),
            dir,
            process: None,
        };
        standby.run(&[]);
        self.sql("ALTER SYSTEM SET synchronous_standby_names = '*'");
        self.sql("SELECT pg_reload_conf()");
        // It waits for the standby, and so for the setting.
        while self.sql("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'") != "1"
        {
            std::thread::yield_now();
        }
        standby
    }
}
