"""The helpers of the tests lie in Tests/Support/Python. This makes them a package, `support`, for whatever runs here.

So `python3 -m unittest test_x` needs nothing set, and no test says where its helpers are.
"""

import pathlib

__path__ = [str(pathlib.Path(__file__).resolve().parents[1] / "Support" / "Python")]
