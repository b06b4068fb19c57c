"""An admin of a floor that speaks TLS, as a browser is one: `ci/image/boot` scans a unit with it and types the code of a machine.

Usage: person.py FLOOR CA BADGE scan SERIAL | approve SERIAL CODE | passed SERIAL; the PIN comes from stdin. `passed` ends with 0
once the unit's page says so, and with 1 while it does not.
"""

import re
import ssl
import sys
import urllib.error
import urllib.parse
import urllib.request


class Stays(urllib.request.HTTPRedirectHandler):
    """Where an act leads says whether it was taken, so that nothing is followed."""

    def redirect_request(self, *_):
        return None


class Person:
    def __init__(self, floor, ca, badge, pin):
        self.floor, self.cookie = floor, ""
        self.opener = urllib.request.build_opener(
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca)), Stays
        )
        _, headers, _ = self.call("/login?lang=en", {"badge": badge, "pin": pin})
        self.cookie = (headers["set-cookie"] or "").split(";")[0]
        if not self.cookie:
            sys.exit(f"{floor} lets badge {badge} not in")

    def call(self, path, form=None):
        body = urllib.parse.urlencode(form).encode() if form is not None else None
        request = urllib.request.Request(self.floor + path, body, {"origin": self.floor, "cookie": self.cookie})
        try:
            answer = self.opener.open(request, timeout=30)
        except urllib.error.HTTPError as other:
            answer = other
        with answer:
            return answer.status, answer.headers, answer.read().decode()

    def page(self, path):
        status, _, page = self.call(path)
        if status != 200:
            sys.exit(f"{path} answered {status}")
        return page

    def act(self, path, form):
        token = re.search(r'name="token" value="([^"]+)"', self.page("/"))
        if not token:
            sys.exit("the floor's page has no form")
        status, headers, answer = self.call(path, {**form, "token": token[1]})
        to = headers["location"] or ""
        if status != 303 or "told=" in to:
            sys.exit(f"{path} was refused: {status} {to} {answer[:200]}")


def main():
    floor, ca, badge, what, serial, *more = sys.argv[1:]
    person = Person(floor, ca, badge, sys.stdin.readline().strip())
    match what, more:
        case "scan", []:
            person.act("/scan", {"serial": serial})
        case "approve", [code]:
            sections = [part for part in person.page("/doors?lang=en").split("<section") if serial in part]
            keys = [key for part in sections for key in re.findall(r'name="of" value="([^"]+)"', part)]
            if not keys:
                sys.exit(f"no machine with serial number {serial} waits at the door")
            person.act("/doors/approve", {"of": keys[0], "why": code})
        case "passed", []:
            sys.exit(0 if "Passed" in person.page(f"/units/{urllib.parse.quote(serial)}?lang=en") else 1)
        case _:
            sys.exit(__doc__)


main()
