"""Calls of MONAI Label's own client, in the virtual environment that `PIN_SLICER` names.

This file is also the program that runs there: calls as JSON on standard input, answers on standard
output. As MONAI Label's module for 3D Slicer does, it makes a client for each call.
"""

import json
import os
import sys

from slicer_storage import answered


def called(address, *calls, token=None, client="me", folder="."):
    """What calls of the client answer: each is a method and its arguments.

    What it raises is ``{"raised": text}``; a file is ``{"file": name, "content": text}``.
    """
    order = {"address": address, "token": token, "client": client, "folder": str(folder)}
    return answered(__file__, {**order, "calls": calls}, timeout=300)


def _logged_in(order):
    from monailabel.client import MONAILabelClient

    client = MONAILabelClient(order["address"], order["folder"], order["client"])
    if order["token"] is not None:
        assert client.auth_enabled()
        client.update_auth(client.auth_token("me", order["token"]))
        assert client.auth_valid_token()
    return client


def _answer(order, method, arguments):
    from monailabel.client.client import MONAILabelClientException

    try:
        return _with_content(getattr(_logged_in(order), method)(**arguments))
    except MONAILabelClientException as error:
        return {"raised": error.msg}


def _with_content(answer):
    if isinstance(answer, tuple):
        return [*map(_with_content, answer)]
    if isinstance(answer, str) and os.path.isfile(answer):
        with open(answer, encoding="utf-8") as file:
            return {"file": answer, "content": file.read()}
    return answer


if __name__ == "__main__":
    said = json.load(sys.stdin)
    answers = [_answer(said, *call) for call in said["calls"]]
    print("\n" + json.dumps(answers))
