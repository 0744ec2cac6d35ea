//! What is known of pools and cannot be served yet: it is refused, because whoever writes it relies on it.

use super::pool::{PoolSettings, RetryPolicy};
use super::server::ChildServer;
use crate::config::error::ConfigError;

/// Refuses what cannot be served yet, server by server.
pub(in crate::config) fn refuse_unsupported(servers: &[ChildServer], errors: &mut Vec<ConfigError>) {
    for server in servers {
        errors.extend(refusals(&server.pool).into_iter().map(|reason| {
            let name = &server.name;
            ConfigError::Impossible(format!("server `{name}`: {reason}"))
        }));
    }
}

fn refusals(pool: &PoolSettings) -> Vec<String> {
    let mut refusals = Vec::new();
    let unsupported = [("retry", pool.retry != RetryPolicy::Off)];
    let named = unsupported.into_iter().filter(|(_, is_set)| *is_set);
    refusals.extend(named.map(|(key, _)| format!("`{key}` is not supported yet; remove it")));
    refusals
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::children::command_line::server_of;
    use crate::config::children::keys::read_pool;

    fn refused(pools: &[&str]) -> Vec<String> {
        let server = |text: &&str| {
            let mut server = server_of("npx thing").unwrap();
            read_pool(&mut server.pool, text).unwrap();
            server
        };
        let servers: Vec<ChildServer> = pools.iter().map(server).collect();
        let mut errors = Vec::new();
        refuse_unsupported(&servers, &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_is_served_is_not_refused() {
        let all = "mode=shared,min_idle=2,max=8,max_in_flight=16,queue_depth=100,queue_timeout=10s,list_ttl=1m,start_timeout=5s,\
                   first_start_timeout=10m,call_timeout=1h,cancel_grace=0,stop_grace=500ms,inherit=*,message_max=1MiB,\
                   idle_timeout=1m,recycle_calls=9,recycle_age=1h,rss_max=512MiB,pids_max=50,warmup=echo,retry=off,on_loss=404,\
                   era=modern,unwrap=off,read=/usr,write=/tmp,tcp=443,user=nobody,interactive=off";
        assert!(refused(&[all]).is_empty());
        assert!(refused(&["mode=shared,interactive=on"]).is_empty());
        assert!(refused(&[]).is_empty());
    }

    #[test]
    fn what_is_not_is_named_with_its_server() {
        for served in ["", "mode=call", "key_header=x-user,on_loss=restart,anonymous=one"] {
            assert!(refused(&[served]).is_empty(), "{served}");
        }
        let refusals = refused(&["mode=shared,retry=read_only"]);
        assert!(
            refusals.len() == 1 && refusals[0].contains("`retry`"),
            "{refusals:?}"
        );
    }
}
