//! File descriptors: as many as the process may have, and no more connections than they suffice for.
//!
//! Many systems start a process with 1 024 of them and let it have more when it asks. A server whose clients take the
//! last one cannot open a socket to an endpoint either.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

/// Idle connections to endpoints, the database, the threads' own.
const OTHERS: u64 = 1280;

/// Raises the limit as far as it goes, and lowers `server.max_connections` to what it suffices for.
pub(crate) fn fit(config: &mut Config) {
    let given = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: given.maximum, maximum: given.maximum };
    // Without it the old limit stays, and is gone by below.
    let limit = setrlimit(Resource::Nofile, raised).map_or(given.current, |()| given.maximum);
    let Some(limit) = limit else { return };
    let wanted = config.server.max_connections;
    let fitting = connections(limit, config.delivery.max_in_flight);
    if u64::from(wanted) > fitting {
        config.server.max_connections = u32::try_from(fitting).unwrap_or(wanted);
        tracing::warn!(
            limit,
            "server.max_connections is {fitting} and not {wanted}: the process may not have more file descriptors \
             (ulimit -n, LimitNOFILE)"
        );
    }
}

/// Half of a small limit; all but what the rest needs of a large one.
fn connections(limit: u64, in_flight: u32) -> u64 {
    limit.saturating_sub(OTHERS + u64::from(in_flight)).max(limit / 2).max(1)
}

#[cfg(test)]
mod tests {
    use super::connections;

    #[test]
    fn c15_connections_leave_descriptors_for_the_rest() {
        assert_eq!(connections(1_048_576, 512), 1_048_576 - 1792);
        assert_eq!(connections(20_000, 512), 18_208);
        assert_eq!(connections(1024, 512), 512);
        assert_eq!(connections(64, 512), 32);
        assert_eq!(connections(1, 512), 1);
    }
}
