"""Runs inside warm pods: takes exactly one specialisation and becomes the app.

Standard library only, plus the server stack that the runtime brings (uvicorn and what it needs);
nothing of Hearth above this package. ``protocol`` is the contract with whoever specialises a pod.
"""
