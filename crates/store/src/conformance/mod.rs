//! The suite that every backend of [`watchbell_domain::port`] must pass.
//!
//! A backend says how an empty store of it is opened and gets one test for each promise:
//!
//! ```ignore
//! async fn open() -> watchbell_store::conformance::Opened { … }
//! watchbell_store::conformance!(crate::open);
//! ```
//!
//! The store must find its dialects with [`dialects::find`]: the suite is about storage and routing, not about vendors.
//! What is special to a backend (its files, its locks, its corrupt rows) is tested beside the backend.
//!
//! *To add a test*: an `async fn name(world: World)` in the module of its port, its name in the macro below.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests, each a story told from its beginning, in a library so that backends share them"
)]

pub mod advisories;
pub mod audit;
pub mod captures;
pub mod claims;
pub mod deliveries;
pub mod dialects;
pub mod endpoints;
pub mod erasures;
pub mod events;
pub mod evidence;
pub mod failing;
pub mod findings;
pub mod hand_over;
pub mod histories;
pub mod isolation;
pub mod once;
pub mod orgs;
pub mod poam;
pub mod projects;
pub mod receipts;
pub mod replays;
pub mod reports;
pub mod retention;
pub mod rings;
pub mod rules;
pub mod sources;
pub mod tenants;
pub mod witnesses;
pub(crate) mod world;

pub use world::{Opened, World};

/// One test for each promise, for the store that `$open` opens: the path of an `async fn() -> Opened`.
#[macro_export]
macro_rules! conformance {
    ($open:path) => {
        $crate::conformance! { @tests $open;
            orgs {
                found_by_id_and_slug slugs_are_unique listed_in_pages keys_live_and_die root_key_is_replaced
                weights_are_set }
            endpoints {
                kept_whole transports_kept_whole updated_if_unchanged disabled_meanwhile_is_a_conflict pause_survives_an_update
                pausing_holds_and_resuming_releases deleting_cancels_what_waits greeted_in_the_same_commit
                listed_in_pages
            }
            events {
                routed_to_whoever_wants_them data_is_kept_byte_for_byte listed_by_filter_and_page
                addressed_to_one_endpoint all_or_nothing
            }
            once { repeats_get_the_first_answer fifty_at_once_make_one_event every_write_is_done_once keys_expire }
            claims {
                taken_oldest_first not_before_their_time settled_into_every_state stale_tokens_are_refused
                expired_claims_are_taken_again terminal_states_stay pauses_only_grow gone_disables_and_holds
                settled_after_a_pause_or_deletion bodies_and_results_come_back due_endpoints_say_when
                given_back_unsent expired_claims_of_endpoints_that_rest in_order_one_by_one in_order_after_a_rest
                retries_have_their_share in_order_by_project keys_are_given_to_what_waits hops_come_along
            }
            failing {
                disabled_after_nothing_but_failures a_success_or_an_owner_begins_anew what_is_given_up_is_told_of
            }
            hand_over {
                taken_as_far_as_there_is_room not_of_endpoints_that_are_paused claimed_by_the_takers_time
                nothing_of_what_failed changes_are_told
            }
            deliveries {
                listed_by_filter_and_page retried_now cancelled replayed_alone replayed_by_event replayed_by_window counted
            }
            projects {
                found_and_listed scans_apply_in_turn findings_change_and_are_listed failed_whole coverage_grows
                statements_are_kept
            }
            findings {
                kept_whole judged_in_turn merged_ones_lead_on listed_by_filter lapse_in_order storms_are_digested
                mild_ones_are_filtered
            }
            rules {
                kept_whole filtered_by_event_and_project projects_are_described broken_filters_deliver_and_are_told
                muted_until_the_end quiet_hours_put_off storms_count_what_passes
                f31_a_changed_filter_is_for_what_comes i6_one_delivery_per_rule_and_event filtered_by_source
                digests_gather_and_close_early
            }
            replays {
                matched_by_filter the_newest_of_an_event_counts advances_to_the_end steps_at_once_make_nothing_twice
                cancelled_meanwhile made_once_and_not_too_many endpoints_that_rest_or_are_gone
            }
            erasures {
                an_event_says_nothing_any_more attempts_under_way_bring_nothing_back subjects_are_found_in_steps
                made_once_and_not_too_many
            }
            advisories { newer_ones_win counted_and_listed }
            captures { kept_as_they_came the_oldest_make_way behind_a_number numbered_once deleted_and_gone captures_expire }
            evidence { kept_and_listed ends_once weighed_in_the_same_commit deleted_and_expired }
            retention {
                takes_what_is_old_and_ended goes_in_small_steps events_wait_for_their_deliveries
                history_outlives_its_endpoint answers_are_forgotten space_is_given_back
            }
            poam {
                kept_whole changed_in_turn rings_in_its_time jumps_and_crowds settings_and_dates_change
                suspended_organisations_are_quiet merged_findings_keep_one_plan_of_the_policy
                follows_its_finding follows_what_is_said made_by_policy one_commit_with_the_scan
            }
            rings { told_as_the_model_says }
            sources { kept_whole updated_if_unchanged called_while_the_organisation_is_active silence_is_told_once }
            witnesses {
                one_finding_of_two_sources heard_once_and_many_at_once relayed_without_a_project scans_see_what_was_heard
            }
            receipts {
                taken_in_one_commit known_again_within_the_window fifty_at_once_make_one_event refused_ones_are_bounded
                taken_again_by_hand listed_by_filter_and_page found_by_event_and_erased_with_it forgotten_by_age_and_size seen_by_their_owner_alone
            }
            reports { lessons_are_told_once lessons_are_listed_by_time announced_scans_end_once types_are_defined }
            histories { end_as_the_model_says }
            audit { tells_what_was_done found_by_filter_and_page old_entries_leave_a_checkpoint }
            tenants {
                invitations_are_taken_once keys_follow_their_member the_last_owner_stays groups_hold_organisations
                suspending_holds_and_kills_keys deleting_leaves_nothing_but_the_audit_log renamed
                keys_are_rotated_and_their_use_remembered
            }
            isolation { reads_see_nothing writes_change_nothing }
        }
    };
    (@tests $open:path; $($module:ident { $($name:ident)+ })+) => {
        $(mod $module {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let opened = $open().await;
                $crate::conformance::$module::$name($crate::conformance::World::new(opened)).await;
            })+
        })+
    };
}
