"""Words become calls: one thin file a verb.

In: the command line. Out: calls into the rooms, one JSON object, an exit code.
Reading order: main, arguments, recipe, run and its stages, then the other verbs.
Never here: no arithmetic; a verb that computes belongs in a room.
"""
