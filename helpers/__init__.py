"""Helpers of the notebook series on neural style transfer, floor by floor.

What a learner opens lies here, in the order in which data flows: ``images`` (file → tensor),
``weights`` and ``network`` (tensor → features), ``losses`` (features → numbers) and ``objective`` (all of
them as one function of the picture), ``optimisers`` and ``synthesis`` (numbers → picture: the loop),
``record``, ``figures`` and ``drawings`` (what is kept and what a notebook shows).

Below it lie ``engine``, which computes the same faster, and ``system`` (files, signals, checkpoints).
Above it lie ``paper`` (the paper's figures), ``widgets``, ``exercises``, and ``command_line`` with its
``arguments``. Imports go down only.
"""
