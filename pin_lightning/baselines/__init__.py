"""Systems beside PIN: the paper's related work behind the interface of its localizer.

`base` has what a system is, `registry` their names; each system is a module of its own.
"""
