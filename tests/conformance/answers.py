"""What every HTTP answer carries (R29)."""

import httpx

# The reference's CORS and security headers, word by word.
HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Allow-Headers": "Content-Type",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "X-XSS-Protection": "1; mode=block",
    "Referrer-Policy": "strict-origin-when-cross-origin",
}


def assert_headers(response: httpx.Response) -> None:
    """All the headers of the reference, each once."""
    assert {name: response.headers.get(name) for name in HEADERS} == HEADERS


def assert_error(response: httpx.Response, status: int) -> None:
    """R29: JSON ``{"error": "…"}`` and the headers."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("application/json")
    body = response.json()
    assert list(body) == ["error"]
    assert isinstance(body["error"], str)
    assert body["error"]
    assert_headers(response)
