"""The paper's floor: its three figures, the panels that they are made of, and its own pictures.

``figures`` says what each figure has, ``panels`` makes each picture once, here or on several machines,
``drawing`` arranges them, and ``pictures`` fetches the pictures that the paper used.
"""
