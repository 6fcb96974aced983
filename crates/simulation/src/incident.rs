//! What befalls the world: links, hosts, clock, disk, and the process itself.

use std::sync::Arc;

use jiff::SignedDuration;
use rusqlite::Connection;
use watchbell_store::sqlite::DATABASE_FILE;

use crate::chance::Chance;
use crate::net::{Host, Mode, pause};
use crate::plan::Incident;
use crate::world::World;

/// Lets happen what is planned, from where it stood when the process before died.
pub(crate) async fn run(world: Arc<World>, folder: std::path::PathBuf, mut chance: Chance) {
    loop {
        let next = world.progress().incidents;
        let Some((at, incident)) = world.plan.incidents.get(next).copied() else { return };
        let wait = at - world.clock.virtual_now();
        pause(&world.clock, wait.max(SignedDuration::ZERO)).await;
        if world.faults.is_healed() {
            return;
        }
        world.progress().incidents = next + 1;
        world.history.tell(world.clock.virtual_now(), format!("incident: {incident:?}"));
        befall(&world, &folder, incident, &mut chance);
    }
}

fn befall(world: &Arc<World>, folder: &std::path::Path, incident: Incident, chance: &mut Chance) {
    match incident {
        Incident::SetClock(by) => world.clock.set_wall(by),
        Incident::Host(mode, lasts) => {
            if let Some(host) = some_host(world, chance) {
                host.set_mode(mode);
                after(world, lasts, move |_| host.set_mode(Mode::Well));
            }
        }
        Incident::Cut(lasts) => {
            if let Some(host) = some_host(world, chance) {
                host.set_cut(true);
                after(world, lasts, move |_| host.set_cut(false));
            }
        }
        Incident::FullDisk(bytes, lasts) => {
            world.faults.disturbed("full disk");
            world.faults.set_free_bytes(bytes);
            if bytes == 0 {
                world.faults.burst(100);
            }
            after(world, lasts, |world| {
                world.faults.set_free_bytes(u64::MAX);
                world.faults.burst(0);
                world.faults.disturbed("full disk");
            });
        }
        Incident::Burst(percent, lasts) => {
            world.faults.burst(percent);
            after(world, lasts, |world| world.faults.burst(0));
        }
        Incident::SlowDisk(by, lasts) => {
            world.faults.slow(Some(by));
            after(world, lasts, |world| world.faults.slow(None));
        }
        Incident::Busy(lasts) => {
            world.faults.disturbed("busy");
            let other = Connection::open(folder.join(DATABASE_FILE)).unwrap();
            if other.execute_batch("BEGIN IMMEDIATE").is_ok() {
                after(world, lasts, move |world| {
                    drop(other);
                    world.faults.disturbed("busy");
                });
            }
        }
        Incident::Kill => world.faults.kill("a kill from outside"),
        Incident::Restart => world.restart.notify_one(),
    }
}

fn after(world: &Arc<World>, wait: SignedDuration, end: impl FnOnce(&World) + Send + 'static) {
    let world = Arc::clone(world);
    tokio::spawn(async move {
        pause(&world.clock, wait).await;
        end(&world);
    });
}

fn some_host(world: &World, chance: &mut Chance) -> Option<Arc<Host>> {
    let mut all = world.net.all();
    match all.len() {
        0 => None,
        length => Some(all.swap_remove(chance.index(length))),
    }
}
