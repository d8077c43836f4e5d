"""What Nodewise answers when it is asked: one set of shapes, for the API and for ``nodewise --local`` alike."""
