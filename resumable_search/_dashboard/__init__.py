"""A local page that follows a search, and Optuna's dashboard over its checkpoint.

::

    checkpoint, status ---> Follower ---> Board  ---> page.html, state.json
         (read only)            |
                                +-------> trials ---> Storage ---> optuna-dashboard

A request has the follower look, once a second at the most; when no page is open,
nothing is read.
"""
