"""What a model server needs beside the exports."""
