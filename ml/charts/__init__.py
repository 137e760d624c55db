"""Plotly figures for the analyses: a frame in, a Figure out. No Streamlit in here."""
