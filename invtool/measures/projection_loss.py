r"""How far a matrix moves vectors: the loss of the Invariant Transformer Net (sensitivity, section III.D).

    L(A)   = -1/|S| sum over x in S of ||A^ x - x||^2
    L_k(A) = sum over j of k_j L(A)

A is (row, column) with one column more than rows; A^ is A with a last row [0, ..., 0, 1], S random unit
vectors of as many numbers as A has columns, and k what a controller was given, two numbers in 0..1.
That last row moves nothing, so A^ x - x = (A - [I 0]) x. The more L falls, the further A moves.
"""

from invtool.measures.arrays import Array, namespace


def projection_loss(matrix: Array, vectors: Array) -> Array:
    """L(A), from 0 (nothing moves) downwards, of A (row, column) and S (vector, column).

    >>> import numpy as np
    >>> shift = np.array([[1, 0, 0.5], [0, 1, 0]])
    >>> float(projection_loss(shift, np.array([[0.0, 0, 1], [1, 0, 0]])))
    -0.125
    """
    xp = namespace(matrix, vectors)
    moved = vectors @ xp.permute_dims(from_identity(matrix), (1, 0))  # (vector, row)
    return -xp.mean(xp.sum(moved**2, axis=1))


def controlled_loss(k: Array, matrix: Array, vectors: Array) -> Array:
    """L_k(A), of k (number,): the larger k, the more a movement counts; k = 0 asks for none.

    >>> import numpy as np
    >>> shift = np.array([[1, 0, 0.5], [0, 1, 0]])
    >>> float(controlled_loss(np.array([1.0, 1.0]), shift, np.array([[0.0, 0, 1]])))
    -0.5
    """
    return namespace(k, matrix).sum(k) * projection_loss(matrix, vectors)


def from_identity(matrix: Array) -> Array:
    """A - [I 0], of matrices (..., row, column).

    >>> import numpy as np
    >>> from_identity(np.array([[1.0, 0, 0.5], [0, 1, 0]])).tolist()
    [[0.0, 0.0, 0.5], [0.0, 0.0, 0.0]]
    """
    xp = namespace(matrix)
    rows, columns = matrix.shape[-2:]
    return matrix - xp.asarray(xp.eye(rows, columns), dtype=matrix.dtype, device=_device(matrix))


def _device(array: Array) -> Array:
    from array_api_compat import device

    return device(array)
