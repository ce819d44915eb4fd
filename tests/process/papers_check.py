"""What no answer may be: the service's own fault. A feed of which nothing is left says 503 on purpose."""

import schemathesis


@schemathesis.check
def is_no_fault_of_the_service(ctx, response, case):
    if response.status_code >= 500:
        assert response.status_code == 503 and response.json()["code"] == "feed_empty", response.text
