import './style.css'

export const metadata = { title: 'Live captions', icons: 'data:,' }

export default function Layout({ children }) {
  return (
    <html lang="en">
      <body><main><h1>Live captions</h1>{children}</main></body>
    </html>
  )
}
