"""Which tests hold each row of the tables that promise something, in the order of their rows.

A row is named by how it begins. A test is named with its case in brackets, if it has cases. (The
table of a single call has a test that reads it: ``tests/calls/test_guarantees.py``.)
"""

from collections.abc import Mapping

_FAILURES = "tests/outbox/test_draining.py::"
_ON_POSTGRESQL = "tests/procrastinate/test_failures.py::"
_IN_OUTAGE = "tests/procrastinate/test_outage.py::"
_WAITED_OUT = f"{_FAILURES}test_an_outage_is_waited_out_and_shown"
_COSTS_NOTHING = f"{_IN_OUTAGE}test_an_outage_costs_no_attempts_and_few_requests"
_AT_A_START = (
    "tests/outbox/test_outage.py::"
    "test_events_before_everything_else_try_no_outage_however_often_a_process_restarts"
)
_PERSISTENCE = "tests/outbox/test_persistence.py::"
_BREAKER = "tests/policy/test_circuit_breaker.py::"
_RECOVERY = "tests/policy/test_recovery.py::"
_EVENT_AND_A_PAGE = "test_an_event_that_something_else_has_answered_is_uncertain_and_the_rest_waits"
_OF_THREE = (
    "tests/policy/test_circuit_breaker.py::"
    "test_three_contacts_that_fail_in_a_row_are_an_outage_and_none_is_at_fault"
)

Tables = Mapping[tuple[str, str], Mapping[str, tuple[str, ...]]]

TABLES: Tables = {
    ("docs/howto/outbox.md", "Which guarantee holds"): {
        "safe to repeat": (
            "tests/outbox/test_crashes.py::test_killed_processes_lose_and_disorder_nothing",
            f"{_FAILURES}test_a_contacts_requests_in_order_and_others_together",
        ),
        "anything else": (
            "tests/outbox/test_crashes.py::test_killed_processes_lose_and_disorder_nothing",
            f"{_FAILURES}test_an_event_that_may_have_been_applied_is_uncertain",
        ),
    },
    ("docs/howto/outbox.md", "What comes of a failure"): {
        "no connection, 429, 503": (
            *(f"{_WAITED_OUT}[{trouble}]" for trouble in ("503", "429", "down")),
            *(f"{_COSTS_NOTHING}[{trouble}]" for trouble in ("503", "429", "500", "down")),
            _OF_THREE,
            f"{_RECOVERY}test_an_outbox_begins_with_one_request",
            _AT_A_START,
        ),
        "a redirect, or a 2xx that": (
            *(f"{_WAITED_OUT}[{trouble}]" for trouble in ("307", "page")),
            *(f"{_COSTS_NOTHING}[{trouble}]" for trouble in ("302", "page")),
            f"{_FAILURES}{_EVENT_AND_A_PAGE}",
            f"{_ON_POSTGRESQL}{_EVENT_AND_A_PAGE}",
        ),
        "5xx, 408, 425 or no answer": (
            f"{_FAILURES}test_a_request_that_keeps_failing_is_dead_in_the_end",
            f"{_ON_POSTGRESQL}test_a_delivery_that_fails_too_often_by_its_own_fault_is_given_up",
        ),
        "the same, and nothing has": (
            f"{_FAILURES}test_a_request_that_fails_alone_waits_for_an_outage_of_minutes",
            f"{_BREAKER}test_one_that_fails_alone_is_an_outage_where_requests_are_stored",
        ),
        "404": (
            f"{_FAILURES}test_a_contact_that_is_not_known_yet_is_asked_for_again",
            f"{_ON_POSTGRESQL}test_a_contact_that_stays_unknown_is_asked_for_six_times",
            f"{_RECOVERY}test_only_the_first_message_of_an_unknown_contact_is_sent_again",
        ),
        "400, 409, 413, 422": (
            *(
                f"{_FAILURES}"
                f"test_a_request_that_can_never_succeed_is_dead_with_the_servers_words[{status}]"
                for status in (400, 409, 413, 422)
            ),
            f"{_ON_POSTGRESQL}test_a_refused_delivery_fails_at_once_and_keeps_the_servers_words",
        ),
        "a 2xx whose body": (
            f"{_FAILURES}test_a_report_of_a_failure_is_put_aside_with_the_words_of_sendx",
            f"{_FAILURES}test_contacts_that_share_a_report_of_a_failure_are_sent_one_by_one",
            f"{_ON_POSTGRESQL}test_a_report_of_a_failure_is_kept_with_the_words_of_sendx",
        ),
        "401, 403": (
            f"{_FAILURES}test_a_key_that_is_not_accepted_keeps_everything[401]",
            f"{_FAILURES}test_a_key_that_is_not_accepted_keeps_everything[403]",
            f"{_IN_OUTAGE}test_a_refused_key_keeps_everything[401]",
        ),
        "a request that is not safe": (
            f"{_FAILURES}test_an_event_that_may_have_been_applied_is_uncertain[500]",
            f"{_FAILURES}test_an_event_that_may_have_been_applied_is_uncertain[drop]",
            f"{_ON_POSTGRESQL}test_an_event_that_may_have_been_applied_is_never_sent_twice[silence]",
        ),
        "a file that can't be written": (
            f"{_PERSISTENCE}test_what_was_delivered_meanwhile_is_not_sent_again",
            f"{_PERSISTENCE}test_nothing_new_is_begun_meanwhile",
            f"{_PERSISTENCE}test_draining_once_gives_up_in_time_and_what_it_knows_is_kept",
            f"{_PERSISTENCE}test_a_full_database_forgets_no_answer",
        ),
    },
}
