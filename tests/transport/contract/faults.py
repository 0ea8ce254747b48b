"""Where a protocol falls short of the contract, and why. Such tests are run with ``--runxfail`` only."""

# uvicorn's own protocol, and the guard that stands on it.
STOCK, BOTH, PICOWS = ("stock",), ("stock", "guard"), ("picows",)

# Protocols → test, or one case of it → what happens instead.
FAULTS: dict[tuple[str, ...], dict[str, str]] = {
    STOCK: {
        "test_headers_without_measure_are_answered": "no answer, and the connection stays open",
        "test_flood_of_frames_is_ended": "all of it is taken in, 256 KiB in one go",
    },
    BOTH: {
        "test_close_before_it_is_accepted_is_answered_afterwards": "dropped without an answer",
        "test_violation_before_it_is_accepted_is_told_afterwards": "AssertionError in the event loop",
        "test_other_version_is_told_which_is_understood": "400, and no Sec-WebSocket-Version",
        "test_denial_without_a_body": "KeyError: the body has no default",
        "test_denial_names_the_server_as_other_answers_do": "the server's own headers are left out",
        "test_ping_while_the_app_does_not_listen_is_answered": "nothing is read until the app has received",
        "test_close_while_the_app_does_not_listen_is_answered": "nothing is read until the app has received",
        "test_violation_right_after_a_message": "the message is dropped with what came after it",
        "test_violation_is_no_error_of_the_servers": "text that is not UTF-8 is logged with a traceback",
        "test_sending_right_after_a_violation": "RuntimeError, as if the app had closed",
        "test_client_gone_without_a_word": "1005, as if a close frame had come",
        "test_app_that_returns": "TCP is closed without a close frame",
        "test_app_that_raises": "TCP is closed without a close frame",
        "test_app_is_told_why": "1005 instead of 1011",
        "test_app_that_is_slow_is_no_client_that_is_gone": "its pongs are not read: closed (1011)",
        "test_who_neither_answers_nor_reads_goes": "it is kept until its buffers are empty: for ever",
        "test_end_does_not_wait_for_who_does_not_read": "it is kept until its buffers are empty: for ever",
        "test_client_that_does_not_read": "it is kept until its buffers are empty, or the process ends",
        "test_small_writes_are_not_held_back[fd]": "the loops take it for a UNIX socket",
        "test_process[fd on asyncio]": "likewise",
        "test_process[fd on uvloop]": "likewise",
        # On uvloop it is set; one row for both loops is enough.
        "test_small_writes_are_not_held_back[socket]": "asyncio does not see that the socket speaks TCP",
        "test_process[workers]": "likewise",
    },
    PICOWS: {
        "test_violation_right_after_a_close": "what follows it is answered (1002)",
        "test_message_over_the_limit[fragment said]": "waited for: up to twice the limit",
    },
}


def fault(protocol: str, test: str, case: str) -> str | None:
    """What is wrong with this protocol in a case of a test, if anything is."""
    for protocols, rows in FAULTS.items():
        if protocol in protocols:
            for row in (f"{test}[{case}]", test):
                if row in rows:
                    return rows[row]
    return None
